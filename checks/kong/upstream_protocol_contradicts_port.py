"""The protocol is set, and the port says otherwise."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import backend_tls, kong

_TLS = ("https", "grpcs", "wss", "tls")
_CLEAR = ("http", "grpc", "ws")


class UpstreamProtocolContradictsPort(Probe):
    """Kong is told one protocol, and the port of the backend says another.

    `konghq.com/protocol` counts for **every** port of a Service, so one annotation for a TLS
    port breaks the clear ones beside it. A TLS handshake with a clear-text port ends in 502
    (`wrong version number`), plain HTTP to a TLS port in 400 or a reset. Names are only
    conventions: one of the two is wrong, and a look at the backend tells which.

    Not a problem where Kong does not lead to that port, or where only the port's number speaks
    against the annotation.

    ```sh
    kubectl -n NAMESPACE run tls-test --rm -it --image=alpine/openssl --restart=Never -- \\
      s_client -connect NAME:PORT -brief
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate/service.go (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: store, namespace: shop, annotations: {konghq.com/protocol: https}}
    spec: {ports: [{name: https-api, port: 9000}, {name: http-console, port: 9001}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: console, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: store, port: {number: 9001}}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, *backend_tls.KINDS)
    symptoms = (
        "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)",
        "An invalid response was received from the upstream server",
        "tls: first record does not look like a TLS handshake",
        "502 Bad Gateway",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A port that Kong enters and that contradicts the annotation of its Service."""
        protocol = service.annotation(kong.PROTOCOL)
        if protocol not in (*_TLS, *_CLEAR):
            return
        told: dict[Field, kong.Entry] = {}
        for entry in kong.entries(service, cluster):
            port = kong.port_of(entry, service)
            if port is not None:
                told.setdefault(port, entry)
        for port, entry in told.items():
            yield from self._port(service, port, protocol, entry, cluster)

    def _port(
        self, service: Resource, port: Field, protocol: str, entry: kong.Entry, cluster: Cluster
    ) -> Iterator[Finding]:
        speaks_tls = protocol in _TLS
        claim, found = backend_tls.says_name(port), backend_tls.evidence(service, port, cluster)
        only_named = claim is not None and claim.tls != speaks_tls
        if only_named and backend_tls.from_pod(service, port, cluster) == speaks_tls:
            found, severity, confidence = claim, Severity.LOW, Confidence.POSSIBLE
        elif found is None or found.tls == speaks_tls or found.confidence == Confidence.POSSIBLE:
            return
        elif found.field.ref != service.ref:
            severity, confidence = Severity.HIGH, Confidence.LIKELY
        else:
            severity, confidence = Severity.MEDIUM, Confidence.POSSIBLE
        assert found is not None
        yield self.finding(
            service.at("metadata", "annotations", kong.PROTOCOL),
            f"Kong speaks {protocol} to port {port.number('port')}, and {found.why} says "
            f"{'TLS' if found.tls else 'clear text'}",
            root=service,
            severity=severity,
            confidence=confidence,
            because=(found.field, entry.field),
            marker=str(port.number("port")),
            advice="See what the backend speaks on this port. If the annotation is right, rename "
            "the port; if the port is, change the annotation; if the Service has ports of both "
            "kinds, make a second Service for one of them, as the annotation counts for all",
        )
