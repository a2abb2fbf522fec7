"""Document 000, seen: what a backend of Kong speaks, and what Kong speaks to it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.evidence import shown
from gwdoctor.resolve import kong

_TLS = ("https", "tls", "grpcs", "wss")
#: The checks that guess it from names, numbers and probes.
_GUESSES = ("kong/upstream-protocol-missing", "kong/upstream-protocol-contradicts-port")


class BackendSpeaksOtherwise(Probe):
    """Kong and a backend do not speak the same: one TLS, the other clear text.

    `gwdoctor scan --probe backends` tries a TLS handshake with each port that Kong's routes lead
    to, through a port-forward of the API server; where that fails it asks in clear text (`HEAD
    /`). What Kong speaks is told by `konghq.com/protocol` on the Service alone. Where a check has
    guessed the same from a port's name or number, this proves it; where the guess was wrong, this
    takes it back.

    Not a problem where a sidecar or an agent of the mesh puts TLS around the connection: a
    port-forward reaches the container beside it, and Kong the sidecar.

    Check it yourself:

    ```sh
    kubectl port-forward -n NAMESPACE service/NAME 9000:PORT &
    openssl s_client -connect 127.0.0.1:9000 -brief </dev/null; curl -sI http://127.0.0.1:9000/
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate/service.go (3.5);
    observed, not inferred.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: store, namespace: storage}
    spec: {selector: {app: store}, ports: [{name: api, port: 9000}]}
    ---
    apiVersion: gwdoctor/v1
    kind: Handshake
    metadata: {name: seen-1, namespace: storage}
    purpose: backend
    address: Pod storage/store-0 port 9000
    owner: {apiVersion: v1, kind: Service, namespace: storage, name: store, path: [spec, ports, 0]}
    version: TLSv1.3
    certificates: [{subject: CN=store, serial: 1a, sha256: 0f}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.HANDSHAKE,)
    symptoms = (
        "Client sent an HTTP request to an HTTPS server",
        "An invalid response was received from the upstream server",
    )

    def check(self, handshake: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One port, and the protocol of its Service."""
        port = shown.owner(handshake, cluster)
        service = cluster.find(port.ref) if port is not None else None
        if port is None or service is None or handshake.text("purpose") != "backend":
            return
        is_tls = shown.leaf(handshake) is not None
        if not is_tls and handshake.text("problem") != "clear text":
            return  # it says nothing that tells
        said = kong.protocol(service)
        agree = is_tls == (said in _TLS)
        number = port.number("port")
        speaks = "TLS" if is_tls else "clear text"
        yield self.finding(
            port,
            f"Kong speaks {said} to port {number}, which speaks {speaks}",
            root=service,
            evidence=(shown.quoted(handshake, service.ref),),
            proves=() if agree else _GUESSES,
            refutes=_GUESSES if agree else (),
            alone=not agree,
            advice=f"Annotate the Service with {kong.PROTOCOL}: {'https' if is_tls else 'http'}; it "
            "counts for all ports of the Service",
        )
