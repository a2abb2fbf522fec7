"""A protocol in which the server speaks first, behind a proxy that waits for the client."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh

#: Protocols in which the client waits for the server's greeting, by what ports are called.
_NAMES = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "smtp": "tcp",
    "submission": "tcp",
    "ftp": "tcp",
    "ssh": "tcp",
    "sftp": "tcp",
    "nats": "tcp",
    "imap": "tcp",
    "pop3": "tcp",
    "vnc": "tcp",
}
_NUMBERS = {3307: "mysql", 33060: "mysql", 587: "smtp", 21: "ftp", 22: "ssh", 2222: "ssh"}
_NUMBERS |= {4222: "nats", 143: "imap", 110: "pop3", 5900: "vnc"}


class ServerFirstPortUndeclared(Probe):
    """Connections hang until a timeout: nobody speaks first.

    For a port that declares no protocol a sidecar waits for the client's first bytes to tell
    HTTP from TCP. In MySQL, SMTP, FTP, SSH and NATS the client waits for the server's greeting,
    so both wait until the sniffing times out. Only the port numbers 25, 53, 3306 and 27017 are
    taken for TCP without being declared.

    Not a problem where the Pods have no sidecar, or where the name starts with `tcp` or `mysql`,
    or appProtocol says so.

    ```sh
    kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.ports}'
    ```

    Source: istio 1.32 pkg/config/kube/conversion.go; Istio's documentation of server-first
    protocols.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: mail, namespace: shop}
    spec: {selector: {app: mail}, ports: [{name: smtp, port: 587}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: mail-1
      namespace: shop
      labels: {app: mail, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    spec:
      ports: [{name: smtp, port: 587, appProtocol: tcp}]
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.LIKELY
    subjects = (kinds.SERVICE,)
    needs = (kinds.POD,)
    symptoms = ("Lost connection to MySQL server at 'reading initial communication packet'",)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each sniffed port whose name or number is of a server-first protocol."""
        for port in service.each("spec", "ports"):
            if istio_mesh.protocol(port):
                continue
            words = port.text("name").lower().split("-")
            named = next((word for word in words if word in _NAMES), "")
            spoken = named or _NUMBERS.get(port.number("port") or 0, "")
            if not _NAMES.get(spoken):
                continue
            if istio_mesh.membership_of(service, cluster) not in ("all", "some"):
                return
            wanted = _NAMES[spoken]
            change = service.changed(*port.path, "appProtocol", to=wanted)
            yield self.finding(
                port,
                f"port {port.number('port')} ({istio_mesh.declaration(port)}) declares nothing "
                f"that Istio knows, so the sidecar waits for the client; in {spoken} the server "
                "speaks first",
                confidence=None if named else Confidence.POSSIBLE,
                fix=Fix(f"Declare the port as {wanted}", (change,), needs_review=True),
            )
