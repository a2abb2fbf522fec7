"""Two DestinationRules for one host in one namespace."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
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
        host = istio_rules.host_of(rule, cluster)
        alone = len(istio_rules.by_host(cluster)[rule.namespace, host]) == 1
        if alone or rule.has("spec", "workloadSelector"):
            return
        winners = cluster.derive(_winners, *_group(rule, cluster))
        policy = rule.at("spec", "trafficPolicy")
        taken = winners.get(None, policy)
        if policy.has() and taken.value != policy.value:
            older, word, confidence = _precedence(rule, taken, cluster)
            yield self.finding(
                policy,
                f"the trafficPolicy for {host} is ignored: {older.name} {word} and has one",
                confidence=confidence,
                because=(taken,),
                advice=f"Merge both policies into {older.name}",
            )
        for subset in rule.each("spec", "subsets"):
            name = subset.text("name")
            taken = winners.get(name, subset)
            if taken.ref != subset.ref and taken.value != subset.value:
                older, word, confidence = _precedence(rule, taken, cluster)
                yield self.finding(
                    subset,
                    f"subset {name} of {host} is ignored: {older.name} {word} and has one of this "
                    "name",
                    confidence=confidence,
                    because=(taken,),
                    advice="Keep one of the two, or give them different names",
                )


def _group(rule: Resource, cluster: Cluster) -> tuple[str, str, tuple[str, ...]]:
    """What rules that are merged have in common: only those that are exported alike are."""
    return rule.namespace, istio_rules.host_of(rule, cluster), istio_mesh.exports(rule, cluster)


def _winners(
    cluster: Cluster, namespace: str, host: str, exported: tuple[str, ...]
) -> Mapping[str | None, Field]:
    """The subset that counts by its name, and the trafficPolicy that counts by None."""
    found: dict[str | None, Field] = {}
    for rule in istio_rules.by_host(cluster)[namespace, host]:
        if rule.has("spec", "workloadSelector") or istio_mesh.exports(rule, cluster) != exported:
            continue
        if rule.has("spec", "trafficPolicy"):
            found.setdefault(None, rule.at("spec", "trafficPolicy"))
        for subset in rule.each("spec", "subsets"):
            found.setdefault(subset.text("name"), subset)
    return found


def _precedence(
    rule: Resource, taken: Field, cluster: Cluster
) -> tuple[Resource, str, Confidence | None]:
    """The rule that counts, why, and how sure that is."""
    older = cluster.get(taken.ref.kind, taken.ref.namespace, taken.ref.name) or rule
    dated = bool(rule.created and older.created)
    return older, "is older" if dated else "comes first", None if dated else Confidence.LIKELY
