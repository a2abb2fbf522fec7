"""Two DestinationRules for one host in one namespace."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class DestinationRulePolicyIgnored(Probe):
    """Part of a DestinationRule is ignored: an older one has the same host.

    DestinationRules of one namespace for one host are merged, but only so far: subsets are
    added up, of two with the same name the older one's counts, and of two `trafficPolicy` the
    older one's counts as a whole.

    Not a problem where one has only the policy and the other only subsets, for a wildcard
    beside an exact host (the exact one counts alone), for rules that are exported to different
    namespaces, or in different namespaces.

    ```sh
    kubectl get destinationrules -n NAMESPACE --sort-by=.metadata.creationTimestamp
    ```

    Source: istio 1.32 pilot/pkg/model/destination_rule.go (mergeDestinationRule).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec: {host: web, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 100}}}}
    ---
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web-tls, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec:
      host: web.shop.svc.cluster.local
      trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {ports: [{name: http, port: 80}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.CONFIG_MAP,)

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A policy or a subset that an older rule of the same host has too."""
        if rule.has("spec", "workloadSelector"):
            return
        host = istio_rules.host_of(rule, cluster)
        policy = rule.at("spec", "trafficPolicy")
        for older in istio_rules.by_host(cluster)[rule.namespace, host]:
            if older == rule:
                return
            if older.has("spec", "workloadSelector") or not _share(rule, older, cluster):
                continue
            dated = bool(rule.created and older.created)
            confidence = None if dated else Confidence.LIKELY
            other = older.at("spec", "trafficPolicy")
            if policy.has() and other.has() and policy.value != other.value:
                yield self.finding(
                    policy,
                    f"the trafficPolicy for {host} is ignored: {older.name} "
                    f"{'is older' if dated else 'comes first'} and has one",
                    confidence=confidence,
                    because=(other,),
                    advice=f"Merge both policies into {older.name}",
                )
                policy = rule.at("spec", "trafficPolicy", "-")  # told once
            theirs = {s.text("name"): s for s in older.each("spec", "subsets")}
            for subset in rule.each("spec", "subsets"):
                twin = theirs.get(subset.text("name"))
                if twin is not None and twin.value != subset.value:
                    yield self.finding(
                        subset,
                        f"subset {subset.text('name')} of {host} is ignored: {older.name} "
                        f"{'is older' if dated else 'comes first'} and has one of this name",
                        confidence=confidence,
                        because=(twin,),
                        advice="Keep one of the two, or give them different names",
                    )


def _share(rule: Resource, older: Resource, cluster: Cluster) -> bool:
    """Whether they are merged: only those that are exported alike are."""
    return istio_mesh.exports(rule, cluster) == istio_mesh.exports(older, cluster)
