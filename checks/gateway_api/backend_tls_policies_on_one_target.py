"""Two BackendTLSPolicies for one port."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, OutOfView, Probe, Severity, Skip, kinds
from gwdoctor.resolve import envoy_gateway


class BackendTlsPoliciesOnOneTarget(Probe):
    """This BackendTLSPolicy is not used: another one has its target.

    Of policies with the same Service and the same `sectionName` the oldest counts, then the first
    by name; the others are refused as Conflicted. A policy with `sectionName` and one without do
    not conflict: the specific one holds for its port.

    Not a problem where the targets differ in anything.

    ```sh
    kubectl get backendtlspolicies -A -o yaml | grep -A3 targetRefs
    ```

    Source: gateway-api 1.6 conformance, backendtlspolicy-conflict-resolution (Conflicted).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: first, namespace: app}
    spec:
      targetRefs: [{group: "", kind: Service, name: web}]
      validation: {hostname: web.example.com, wellKnownCACertificates: System}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: second, namespace: app}
    spec:
      targetRefs: [{group: "", kind: Service, name: web}]
      validation: {hostname: web.example.org, wellKnownCACertificates: System}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.BACKEND_TLS_POLICY,)
    symptoms = ("Conflicted",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Every policy but the first of a target."""
        try:
            by_target = envoy_gateway.policies_by_target(kinds.BACKEND_TLS_POLICY, cluster)
        except OutOfView as hidden:
            if hidden.gap.claimed:
                yield self.skip(hidden)
            return
        for target, (winner, *losers) in by_target.items():
            for loser in losers:
                if envoy_gateway.is_accepted(loser):
                    continue
                spot = envoy_gateway.target_field(loser, target)
                where = f" port {target.section}" if target.section else ""
                yield self.finding(
                    spot,
                    f"{target.kind.name} {target.name}{where} already has BackendTLSPolicy "
                    f"{winner.name}, which is older or comes first by name",
                    because=(winner,),
                    advice="Keep one of the two, or give each its port with sectionName",
                )
