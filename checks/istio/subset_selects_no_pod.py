"""A subset whose labels none of the Service's Pods carries."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules, istio_subsets, services


class SubsetSelectsNoPod(Probe):
    """A subset has no Pods: what is routed to it is answered 503.

    The endpoints of a subset are those Pods *of the Service* that carry the subset's labels too:
    Pods elsewhere with these labels do not count.

    Not a problem while the Service has no Pods at all (nothing is deployed), or for labels of
    the node or cluster (`topology.kubernetes.io/zone`), which Pods do not carry themselves. One
    that no route leads to is told as hygiene.

    ```sh
    kubectl get pods -n NAMESPACE -l SERVICE_SELECTOR --show-labels
    ```

    Source: istio 1.32 pilot/pkg/xds/endpoints (endpoint labels), pkg/config/analysis (IST0173).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: reviews, namespace: shop}
    spec:
      host: reviews
      subsets: [{name: v2, labels: {version: v2}}]
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: reviews, namespace: shop}
    spec:
      hosts: [reviews]
      http: [{route: [{destination: {host: reviews, subset: v2}}]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: reviews, namespace: shop}
    spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, version: v1}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE, kinds.POD, kinds.VIRTUAL_SERVICE, kinds.CONFIG_MAP)
    symptoms = (
        "503 Service Unavailable",
        "no healthy upstream",
        "503 UH no_healthy_upstream",
    )

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each subset without Pods."""
        subsets = rule.each("spec", "subsets")
        if not subsets or "*" in rule.text("spec", "host"):
            return
        for service in istio_rules.covered_services(rule, cluster):
            pods = services.pods(cluster, service)
            if not pods:
                return
            labels_of = [pod.own_labels for pod in pods]
            host = istio_mesh.host_of(service, cluster)
            for subset in subsets:
                wanted = {
                    key: value
                    for key, value in subset.labels("labels").items()
                    if not key.startswith(istio_subsets.TOPOLOGY)
                }
                if any(wanted.items() <= carried.items() for carried in labels_of):
                    continue
                name = subset.text("name")
                routes = istio_subsets.routed(cluster).get((host, name), ())
                labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
                present = sorted(
                    {f"{key}={pod.label(key)}" for pod in pods for key in wanted if pod.label(key)}
                )
                yield self.finding(
                    subset.at("labels"),
                    f"none of the {len(pods)} Pods of Service {service.name} has {labels}"
                    + (f" (they have {', '.join(present[:4])})" if present else "")
                    + ("" if routes else "; no route leads to this subset"),
                    severity=None if routes else Severity.LOW,
                    because=tuple(destination.field for destination in routes[:3]),
                    advice="Deploy Pods with these labels, correct the labels of the subset, or "
                    "take it out of the routes",
                )
