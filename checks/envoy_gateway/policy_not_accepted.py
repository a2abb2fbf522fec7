"""What Envoy Gateway itself says about a policy, where no other check knows why."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, status

#: Reasons that have a check of their own.
_EXPLAINED = ("TargetNotFound", "Conflicted", "Pending")


class PolicyNotAccepted(Probe):
    """This policy is not in force: Envoy Gateway refuses it.

    A policy says for each Gateway it reaches (`status.ancestors`) whether it is accepted. What is
    refused has no effect there, and requests that a refused SecurityPolicy was to judge are
    answered 500. Values out of range, scripts that do not parse and features that are switched
    off in the EnvoyGateway configuration are only told here.

    Not a problem for `Overridden`: a more specific policy holds there, as it should.

    ```sh
    kubectl get securitypolicy NAME -n NAMESPACE -o jsonpath='{.status.ancestors[*].conditions}'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi/status; gateway-api 1.6, PolicyAncestorStatus.

    ```yaml bad
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyPatchPolicy
    metadata: {name: tweak, namespace: infra, generation: 1}
    spec:
      targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
      type: JSONPatch
    status:
      ancestors:
      - ancestorRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
        conditions:
        - type: Accepted
          status: "False"
          reason: Disabled
          message: EnvoyPatchPolicy is disabled in the EnvoyGateway configuration
          observedGeneration: 1
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (*envoy_gateway.POLICIES, kinds.ENVOY_PATCH_POLICY)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Accepted or Programmed is False, now, for a reason of its own."""
        told = set()
        for ancestor in policy.each("status", "ancestors"):
            for kind in ("Accepted", "Programmed"):
                said = status.condition(ancestor, kind)
                if said is None or said.text("status") != "False":
                    continue
                reason = said.text("reason")
                text = " ".join(said.text("message").split()).rstrip(".")
                if not status.is_current(policy, said) or reason in _EXPLAINED:
                    continue
                if (reason, text) in told:
                    continue
                told.add((reason, text))
                yield self.finding(
                    said,
                    f"at {ancestor.text('ancestorRef', 'name')}: {kind} is False, {reason}: "
                    f"{text or 'without a message'}",
                    advice="Mend what Envoy Gateway names; its log tells more",
                    marker=f"{ancestor.text('ancestorRef', 'name')}/{kind}",
                )
