"""A route to a subset that nobody has declared for its clients."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_routes, istio_subsets


class SubsetNotDeclared(Probe):
    """A route leads to a subset that no DestinationRule declares: 503.

    For a host a client uses the DestinationRule of its own namespace, or else that of the
    Service's, or else that of the root namespace, and of these only the most specific host. A
    subset declared elsewhere, or under a wildcard beside an exact host, does not exist for it:
    the route goes to a cluster without endpoints (503, flags NC or UH).

    Not a problem where a DestinationRule with a `workloadSelector` declares it: it may be for
    these clients.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST
    ```

    Source: istio 1.32 pilot/pkg/model/push_context.go (destinationRule lookup), run in its xDS
    simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: reviews, namespace: shop}
    spec:
      hosts: [reviews]
      http:
      - route: [{destination: {host: reviews, subset: v2}}]
    ---
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: reviews, namespace: shop}
    spec:
      host: reviews
      subsets: [{name: v1, labels: {version: v1}}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: reviews, namespace: shop}
    spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (
        kinds.DESTINATION_RULE,
        kinds.SERVICE,
        kinds.SERVICE_ENTRY,
        kinds.ISTIO_GATEWAY,
        kinds.POD,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "503 Service Unavailable",
        "no healthy upstream",
        "response flags NC",
        "503 NC cluster_not_found",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each subset of its destinations that its clients do not know."""
        told: set[tuple[str, str]] = set()
        known: dict[str, istio_subsets.Known] = {}
        for destination in istio_routes.destinations(route):
            if not destination.subset:
                continue
            host = istio_routes.full_host(destination, cluster)
            key = host, destination.subset
            if key in told:
                continue
            told.add(key)
            namespace = istio_subsets.home(host, cluster)
            if namespace is None:
                continue  # the host itself is unknown: another check
            if host not in known:
                clients = istio_subsets.client_namespaces(route, cluster)
                known[host] = istio_subsets.Known(cluster, clients, host, namespace)
            if destination.subset in known[host]:
                continue
            elsewhere = next(istio_subsets.declaring(cluster, host, destination.subset), None)
            if elsewhere is not None:
                where = (
                    f"only DestinationRule {elsewhere.namespace}/{elsewhere.name} declares it, "
                    "which these clients do not use"
                )
            else:
                where = "no DestinationRule declares it"
            idle = destination.is_mirror or not destination.weight
            yield self.finding(
                destination.field.at("subset"),
                f"subset {destination.subset} of {host} does not exist: {where}",
                severity=Severity.LOW if idle else None,
                because=() if elsewhere is None else (elsewhere.at("spec", "subsets"),),
                advice=f"Declare the subset in a DestinationRule for {host} in namespace "
                f"{namespace}, or take it out of the route",
            )
