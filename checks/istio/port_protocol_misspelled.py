"""A port that names a protocol in a spelling that Istio does not know."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh

#: What is written, and the appProtocol that means it.
_MEANT = {
    "h2c": "kubernetes.io/h2c",
    "h2": "kubernetes.io/h2c",
    "grpcs": "https",
    "ws": "kubernetes.io/ws",
    "wss": "kubernetes.io/wss",
    "websocket": "kubernetes.io/ws",
    "http1": "http",
    "ssl": "tls",
}


class PortProtocolMisspelled(Probe):
    """A port names its protocol in words that Istio does not know.

    Istio knows `http http2 grpc grpc-web https tls tcp mongo redis mysql udp`, as appProtocol or
    as the port name up to its first `-`, and of the Kubernetes spellings `kubernetes.io/h2c`,
    `/ws` and `/wss` as appProtocol. `h2c` alone is none of them: the port is sniffed by sidecars,
    and called with HTTP/1.1 by gateways.

    Not a problem where the Pods have no sidecar and no VirtualService leads to them, or where an
    appProtocol says what the name does not.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST -o json | grep -i http2
    ```

    Source: istio 1.32 pkg/config/kube/conversion.go; istio/istio#57294.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: api, namespace: shop}
    spec: {selector: {app: api}, ports: [{name: h2c, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: api-1
      namespace: shop
      labels: {app: api, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    spec:
      ports: [{name: h2c, port: 80, appProtocol: kubernetes.io/h2c}]
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.SERVICE,)
    needs = (kinds.POD,)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each port of a workload in the mesh whose protocol is spelled otherwise."""
        for port in service.each("spec", "ports"):
            if istio_mesh.protocol(port):
                continue
            written = port.text("appProtocol") or port.text("name")
            meant = _MEANT.get(written.lower().partition("-")[0])
            if meant is None:
                continue
            if istio_mesh.membership_of(service, cluster) not in ("all", "some"):
                return
            is_http2 = meant == "kubernetes.io/h2c"
            change = service.changed(*port.path, "appProtocol", to=meant)
            yield self.finding(
                port.at("appProtocol" if port.text("appProtocol") else "name"),
                f"{written} is no protocol to Istio: port {port.number('port')} is sniffed"
                + (", and gateways call it with HTTP/1.1" if is_http2 else ""),
                severity=None if is_http2 else Severity.LOW,
                fix=Fix(f"Declare the port as {meant}", (change,), needs_review=True),
            )
