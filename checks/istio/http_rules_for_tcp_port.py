"""HTTP routes for a host that sidecars treat as TCP."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_virtual_services

_TAKES_HTTP = {"", *istio_mesh.HTTP}  # "": sniffed


class HttpRulesForTcpPort(Probe):
    """Sidecars ignore a VirtualService's HTTP rules: the ports are not HTTP.

    `http` rules hold for ports that are declared as HTTP, or sniffed and found to be. For ports
    declared as `tcp`, `tls`, `https` or a database, sidecars forward bytes: routes, timeouts,
    retries and fault injection of the `http` section do not happen, without a word.

    Not a problem at gateways, whose own port says what is spoken, or where one port of the
    Service is HTTP or declares nothing.

    ```sh
    istioctl proxy-config listener POD -n NAMESPACE --port PORT
    ```

    Source: istio 1.32 pilot/pkg/networking/core (outbound listeners), pkg/config/kube.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: web, namespace: shop}
    spec:
      hosts: [web]
      http:
      - timeout: 5s
        route: [{destination: {host: web}}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {ports: [{name: tcp-web, port: 80}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.SERVICE, kinds.CONFIG_MAP)

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """HTTP rules for sidecars, and a Service without a port that they hold for."""
        rules = route.at("spec", "http")
        if not rules.value or not istio_virtual_services.is_bound_to_mesh(route):
            return
        for host in route.texts("spec", "hosts"):
            service = istio_mesh.service_of(host, route.namespace, cluster)
            if service is None:
                continue
            ports = [p for p in service.each("spec", "ports") if p.text("protocol") != "UDP"]
            if not ports or any(istio_mesh.protocol(port) in _TAKES_HTTP for port in ports):
                continue
            told = ", ".join(
                f"{port.number('port')} is {istio_mesh.protocol(port)} "
                f"({istio_mesh.declaration(port)})"
                for port in ports
            )
            yield self.finding(
                rules,
                f"the http rules for {host} do not hold for sidecars: port {told}",
                because=tuple(ports),
                advice="If the port speaks HTTP, declare it so (appProtocol: http) once its "
                "clients send a Host that the mesh knows; if not, write tcp or tls rules",
            )
            return
