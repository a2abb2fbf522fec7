"""Two VirtualServices for one host, for sidecars."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_virtual_services


class MeshHostInTwoVirtualServices(Probe):
    """Sidecars ignore a VirtualService: an older one has the same host.

    At gateways the VirtualServices of one host are merged. Sidecars do not merge: for a host
    they take the oldest VirtualService that they see, and the routes, timeouts and retries of
    the others do not exist for them.

    Not a problem at gateways, between namespaces that do not see each other's (`exportTo`), or
    for one VirtualService that names a host in several ways. A wildcard beside a host is no
    duplicate: the exact host counts.

    ```sh
    istioctl proxy-config route POD -n NAMESPACE --name PORT -o json
    ```

    Source: istio 1.32 pilot/pkg/networking/core (sidecar route domains), pkg/config/analysis
    (IST0109).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: web-a, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec:
      hosts: [web]
      http: [{route: [{destination: {host: web}}]}]
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: web-b, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec:
      hosts: [web.shop.svc.cluster.local]
      http: [{timeout: 5s, route: [{destination: {host: web}}]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {ports: [{name: http, port: 80}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.CONFIG_MAP,)

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each host of it that an older VirtualService has for the same sidecars."""
        if not istio_virtual_services.is_bound_to_mesh(route):
            return
        told: set[str] = set()
        for written in route.each("spec", "hosts"):
            host = _full(written, route, cluster)
            if host in told:
                continue
            told.add(host)
            older = self._older(route, host, cluster)
            if older is None:
                continue
            dated = bool(route.created and older.created)
            yield self.finding(
                written,
                f"sidecars route {host} by VirtualService {older.namespace}/{older.name}, which "
                + ("is older" if dated else "comes first when both are of one age"),
                confidence=None if dated else Confidence.LIKELY,
                because=(older,),
                advice=f"Merge the routes into {older.namespace}/{older.name}, or bind one of the "
                "two to gateways only",
            )

    def _older(self, route: Resource, host: str, cluster: Cluster) -> Resource | None:
        """The oldest of those that some sidecars see beside this one, if that is another one."""
        first = cluster.derive(_oldest)
        seen_in = istio_mesh.exports(route, cluster)
        places = (_ANYWHERE,) if seen_in == istio_mesh.ALL else (*seen_in, *istio_mesh.ALL)
        rivals = (first[host, place] for place in places if seen_in and (host, place) in first)
        older = min(rivals, key=istio_mesh.age, default=None)
        return None if older == route else older


def _full(written: Field, route: Resource, cluster: Cluster) -> str:
    return istio_mesh.full_host(written.text(), route.namespace, cluster)


_ANYWHERE = ""


def _oldest(cluster: Cluster) -> Mapping[tuple[str, str], Resource]:
    """The oldest VirtualService for sidecars by full host name and place that it is exported to:
    a namespace, `*`, or _ANYWHERE for whatever place.
    """
    found: dict[tuple[str, str], Resource] = {}
    for route in istio_mesh.by_age(cluster, kinds.VIRTUAL_SERVICE):
        if istio_virtual_services.is_bound_to_mesh(route):
            for host in dict.fromkeys(
                _full(written, route, cluster) for written in route.each("spec", "hosts")
            ):
                seen_in = istio_mesh.exports(route, cluster)
                for place in (*seen_in, _ANYWHERE) if seen_in else ():
                    found.setdefault((host, place), route)
    return found
