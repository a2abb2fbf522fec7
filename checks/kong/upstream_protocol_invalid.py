"""A value that Kong does not know counts as none."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong


class UpstreamProtocolInvalid(Probe):
    """Kong speaks plain HTTP: the Service's protocol has no valid value.

    `konghq.com/protocol` is compared as it stands: `HTTPS`, `https ` or `h2c` are no protocols.
    Kong then keeps `http` and says so in an event on the Service only.

    Not a problem where the value is one of http, https, grpc, grpcs, ws, wss, tls, tcp and
    tls_passthrough.

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationTranslationFailed
    ```

    Source: Kong/kubernetes-ingress-controller internal/util ValidateProtocol (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: minio, namespace: storage, annotations: {konghq.com/protocol: HTTPS}}
    spec: {ports: [{port: 9000}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: minio, namespace: storage}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: minio, port: {number: 9000}}}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata: {annotations: {konghq.com/protocol: https}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = kong.ENTRY_KINDS
    symptoms = (
        "konghq.com/protocol annotation has invalid value",
        "Client sent an HTTP request to an HTTPS server",
        "tls: first record does not look like a TLS handshake",
        "readv() failed (104: Connection reset by peer) while reading upstream",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Service whose protocol is none of Kong's."""
        value = service.annotation(kong.PROTOCOL)
        if not value or value in kong.PROTOCOLS:
            return
        entries = kong.entries(service, cluster)
        meant = value.strip().lower()
        known = meant in kong.PROTOCOLS
        if not entries or meant == "http":
            severity = Severity.LOW
        else:
            severity = Severity.CRITICAL if known else Severity.HIGH
        same = [s for s in kong.siblings(service, cluster) if s.annotation(kong.PROTOCOL) == value]
        fix = Fix(
            f"Write the protocol as {meant}",
            tuple(s.changed("metadata", "annotations", kong.PROTOCOL, to=meant) for s in same),
        )
        yield self.finding(
            service.at("metadata", "annotations", kong.PROTOCOL),
            f"Kong does not know the protocol {value!r} and speaks http instead",
            root=service,
            severity=severity,
            because=tuple(dict.fromkeys(entry.field for entry in entries)),
            fix=fix if known else None,
            advice="" if known else f"Choose what the backend speaks: {', '.join(kong.PROTOCOLS)}",
        )
