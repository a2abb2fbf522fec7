"""A Sidecar that lets through what does not exist."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh


class SidecarEgressHostUnknown(Probe):
    """A Sidecar's egress host matches nothing: its clients bypass the mesh.

    `egress.hosts` are `namespace/name`, and the name is a full one:
    `shop/web.shop.svc.cluster.local`. What no entry matches, the proxy does not know: its
    requests leave in plaintext (PassthroughCluster) or are refused (REGISTRY_ONLY).

    Not a problem for names with a wildcard, which are there for what may come.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE
    ```

    Source: istio 1.32 pilot/pkg/model/sidecar.go; Kiali KIA1004.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Sidecar
    metadata: {name: default, namespace: web}
    spec:
      egress: [{hosts: ["./*", web/orders.shop.svc.cluster.local]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: orders, namespace: shop}
    spec: {selector: {app: orders}, ports: [{name: http, port: 80}]}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.SIDECAR,)
    needs = (kinds.SERVICE, kinds.SERVICE_ENTRY, kinds.CONFIG_MAP)
    symptoms = (
        "PassthroughCluster",
        "BlackHoleCluster",
    )

    def check(self, sidecar: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each exact host that no Service or ServiceEntry of its namespace has."""
        for listener in sidecar.each("spec", "egress"):
            for written in listener.each("hosts"):
                place, _, name = written.text().partition("/")
                if not name or "*" in name or place == "~":
                    continue
                home = sidecar.namespace if place == "." else place
                host = istio_mesh.full_host(name, home, cluster)
                found = _home(host, cluster)
                if found is not None and (home == "*" or home in found):
                    continue
                where = f"; it is in namespace {', '.join(sorted(found))}" if found else ""
                yield self.finding(
                    written,
                    f"no Service or ServiceEntry in "
                    f"{'any namespace' if home == '*' else 'namespace ' + home} has the host "
                    f"{host}{where}",
                    advice="Write the namespace and the full name of the Service, as in "
                    f"shop/orders.shop.svc.{istio_mesh.mesh(cluster).domain}, or take the entry out",
                )


def _home(host: str, cluster: Cluster) -> frozenset[str] | None:
    """The namespaces that have this host; None where no namespace has it."""
    key = istio_mesh.service_key(host, "", cluster)
    homes = set()
    if key is not None and cluster.get(kinds.SERVICE, *key) is not None:
        homes.add(key[0])
    cluster.every(kinds.SERVICE_ENTRY)
    homes |= {entry.namespace for entry in istio_mesh.service_entries(host, cluster)}
    return frozenset(homes) or None
