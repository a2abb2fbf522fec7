"""An ExternalName Service that takes the traffic of its neighbours."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, services


class ExternalNamePortUndeclared(Probe):
    """An ExternalName Service captures all traffic of the mesh on its port.

    An ExternalName Service has no address of its own. For a port that declares no protocol, or
    TCP, sidecars open a listener on every address, and connections to other destinations with
    the same port number are sent to the external name. A declared `http` or `tls` is routed by
    host name.

    Not a problem without sidecars in the cluster, or for a Service that lists no ports.

    ```sh
    istioctl proxy-config listener POD -n NAMESPACE --port PORT
    ```

    Source: istio 1.32 pkg/config/analysis (IST0150), pilot/pkg/serviceregistry/kube.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: payments, namespace: shop}
    spec:
      type: ExternalName
      externalName: pay.example.com
      ports: [{port: 443}]
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    spec:
      ports: [{port: 443, appProtocol: tls}]
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SERVICE,)
    needs = (kinds.POD,)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each port of an ExternalName Service without a protocol that is routed by name."""
        target = services.external_name(service)
        if not target or not cluster.derive(_has_mesh):
            return
        for port in service.each("spec", "ports"):
            protocol = istio_mesh.protocol(port)
            if protocol not in ("", "TCP"):
                continue
            number = port.number("port")
            fix = None
            known = {80: "http", 443: "tls"}.get(number or 0)
            if known:
                change = service.changed(*port.path, "appProtocol", to=known)
                fix = Fix(f"Declare port {number} as {known}", (change,), needs_review=True)
            yield self.finding(
                port,
                f"port {number} ({istio_mesh.declaration(port)}) is "
                f"{'TCP' if protocol else 'sniffed'} on every address: connections of sidecars "
                f"to port {number} go to {target}",
                fix=fix,
                advice="Declare with appProtocol what the port speaks (http, tls), or replace "
                "the Service with a ServiceEntry",
            )


def _has_mesh(cluster: Cluster) -> bool:
    return any(istio_mesh.has_sidecar(pod) for pod in cluster[kinds.POD])
