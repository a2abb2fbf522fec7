"""Two policies of one kind for one thing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, OutOfView, Probe, Severity, Skip
from gwdoctor.resolve import envoy_gateway


class PoliciesOnOneTarget(Probe):
    """This policy is not in force: another one has its target.

    Of two policies of one kind with the same target (and the same `sectionName`) the older one
    counts, then the first by name. The younger is refused as Conflicted; nothing of it is
    merged, not even settings that the older one does not make.

    Not a problem between a policy for a Gateway and one for a listener or route of it: the more
    specific one replaces the other there, which is what it is for.

    ```sh
    kubectl get securitypolicies,clienttrafficpolicies,backendtrafficpolicies -A -o yaml \\
      | grep -B3 Conflicted
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi (Conflicted).

    ```yaml bad
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: first, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      proxyProtocol: {optional: true}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: second, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      tls: {minVersion: "1.2"}
    ```
    """

    severity = Severity.HIGH
    subjects = envoy_gateway.POLICIES
    symptoms = ("Conflicted",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Every policy but the first of a target."""
        for kind in self.subjects:
            try:
                by_target = envoy_gateway.policies_by_target(kind, cluster)
            except OutOfView as hidden:
                if hidden.gap.claimed:
                    yield self.skip(hidden)
                continue
            for target, (winner, *losers) in by_target.items():
                for loser in losers:
                    if envoy_gateway.is_accepted(loser):
                        continue
                    where = f" section {target.section}" if target.section else ""
                    yield self.finding(
                        envoy_gateway.target_field(loser, target),
                        f"{target.kind.name} {target.name}{where} already has {kind.name} "
                        f"{winner.name}, which is older or comes first by name",
                        because=(winner,),
                        advice="Make one policy of the two, or give each a target of its own",
                    )
