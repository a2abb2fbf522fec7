"""A policy for nothing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, gateway_api

_TARGETS = (kinds.GATEWAY, kinds.LISTENER_SET, *gateway_api.ROUTES)


class PolicyTargetMissing(Probe):
    """This policy is not in force: what it is for does not exist.

    A policy can only be for objects of its own namespace; `targetRefs` has no namespace field.
    `sectionName` is the name of a listener of a Gateway or ListenerSet, or of a *rule* of a route.
    A policy whose target is missing gets no status at all, and a SecurityPolicy without effect
    leaves its route open.

    Not a problem for `targetSelectors`, which may select nothing yet.

    ```sh
    kubectl get securitypolicies,clienttrafficpolicies,backendtrafficpolicies -A
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi (TargetNotFound).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: SecurityPolicy
    metadata: {name: office, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge, sectionName: https}]
      cors: {allowOrigins: ["*"]}
    ```
    """

    severity = Severity.HIGH
    subjects = envoy_gateway.POLICIES
    needs = _TARGETS
    symptoms = ("TargetNotFound",)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Targets and sections that are not there."""
        if envoy_gateway.is_accepted(policy):
            return
        for spot, target in envoy_gateway.target_refs(policy):
            if target.kind not in _TARGETS or not target.name:
                continue
            found = cluster.get(target.kind, target.namespace, target.name)
            if found is None:
                elsewhere = gateway_api.named(target.kind, target.name, cluster)
                where = ", ".join(other.namespace for other in elsewhere)
                yield self.finding(
                    spot,
                    f"{target.kind.name} {target.namespace}/{target.name} does not exist"
                    + (f"; namespace {where} has one of that name" if where else ""),
                    because=tuple(elsewhere),
                    advice="Put the policy into the namespace of its target, or name one there",
                )
            elif target.section and target.section not in _sections(found):
                there = ", ".join(_sections(found)) or "no named ones"
                yield self.finding(
                    spot.at("sectionName"),
                    f"{found.ref} has no section {target.section}; it has {there}",
                    because=(found,),
                    advice="Name a listener of the Gateway, or a rule of the route by its name",
                )


def _sections(found: Resource) -> list[str]:
    part = "rules" if found.ref.kind in gateway_api.ROUTES else "listeners"
    return [name for item in found.each("spec", part) if (name := item.text("name"))]
