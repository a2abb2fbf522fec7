"""Two CA certificates, one id."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import (
    Cluster,
    Confidence,
    Finding,
    OutOfView,
    Probe,
    Resource,
    Severity,
    Skip,
    kinds,
)
from gwdoctor.resolve import kong_plugins


class CaCertificateIdTwice(Probe):
    """Kong drops a CA certificate: another one has the same id.

    The key `id` is the identity of a CA certificate in Kong, across all namespaces. Of two
    with one id the oldest object stays; the other is dropped, usually after a Secret was
    copied.

    Not a problem for objects without the label `konghq.com/ca-cert: "true"`.

    ```sh
    kubectl get secret -A -l konghq.com/ca-cert=true -o jsonpath='{range .items[*]}{.data.id}{" "}{.metadata.name}{"\\n"}{end}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator, toCACerts (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: ca, namespace: shop, labels: {konghq.com/ca-cert: "true"}}
    stringData: {id: 8214a145-a328-4c56-ab72-2973a56d4eae}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: copy, namespace: shop, labels: {konghq.com/ca-cert: "true"}}
    stringData: {id: 8214a145-a328-4c56-ab72-2973a56d4eae}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SECRET, kinds.CONFIG_MAP)
    symptoms = ("duplicate 'id' field in multiple objects",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """CA objects grouped by id; the oldest keeps it."""
        groups: dict[str, list[Resource]] = defaultdict(list)
        for kind in self.subjects:
            try:
                holders = cluster[kind]
            except OutOfView as hidden:
                yield self.skip(hidden)
                continue
            for holder in holders:
                if kong_plugins.is_ca(holder) and kong_plugins.ca_id(holder).text():
                    groups[kong_plugins.ca_id(holder).text()].append(holder)
        for holders in groups.values():
            first, *rest = sorted(holders, key=lambda h: (h.created, h.namespace, h.name))
            for other in rest:
                yield self.finding(
                    other.at("data", "id"),
                    f"{first.ref} has the same id and is older: Kong drops this one",
                    root=other,
                    because=(first,),
                    advice="Give it an id of its own (uuidgen), or delete the copy",
                )
