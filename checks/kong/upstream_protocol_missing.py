"""Document 000: MinIO behind Kong answers 400."""

from collections.abc import Iterator, Sequence

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import backend_tls, kong


class UpstreamProtocolMissing(Probe):
    """Kong speaks plain HTTP to a backend that expects TLS.

    Kong takes the protocol of a backend from `konghq.com/protocol` on the **Service** and from
    nothing else: not from the port's name, number or `appProtocol`, not from an annotation on
    the route, not from TLS on the listener. Without it the backend answers 400, or resets the
    connection. `konghq.com/backend-protocol` and `konghq.com/verify` do not exist, and Kong
    does not verify the backend's certificate unless it is told to.

    Not a problem where the port is clear text after all (443 that leads to a plain 8080, a
    readiness probe over HTTP on that port), where a BackendTLSPolicy that Kong accepted says
    https, or where Kong leads to other ports of the Service only.

    Check it yourself: the access log of the backend, or

    ```sh
    kubectl -n NAMESPACE get service NAME -o jsonpath='{.metadata.annotations.konghq\\.com/protocol}'
    kubectl -n NAMESPACE run tls-test --rm -it --image=alpine/openssl --restart=Never -- \\
      s_client -connect NAME:PORT -brief
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate/service.go (3.5);
    Kong/kong#14392.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: minio, namespace: storage}
    spec:
      selector: {app: minio}
      ports: [{name: https-minio, port: 9000}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: minio, namespace: storage}
    spec:
      ingressClassName: kong
      rules:
      - host: s3.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: minio, port: {number: 9000}}}}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata:
      name: minio
      annotations: {konghq.com/protocol: https}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, *backend_tls.KINDS, kinds.BACKEND_TLS_POLICY)
    symptoms = (
        "Client sent an HTTP request to an HTTPS server",
        "The plain HTTP request was sent to HTTPS port",
        "speaking plain HTTP to an SSL-enabled server port",
        "readv() failed (104: Connection reset by peer) while reading upstream",
        "An invalid response was received from the upstream server",
        "tls: first record does not look like a TLS handshake",
        "recv() failed (104: Connection reset by peer) while reading response header from upstream",
        "502 Bad Gateway",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Service without a protocol, of which a port that Kong enters looks like TLS."""
        if service.annotation(kong.PROTOCOL):
            return
        entries = [entry for entry in kong.entries(service, cluster) if entry.is_http]
        if not entries or kong.tls_policies(cluster).get((service.namespace, service.name)):
            return
        seen = {
            port: backend_tls.evidence(service, port, cluster)
            for port in (kong.port_of(entry, service) for entry in entries)
            if port is not None
        }
        asked = _asked_for(service, entries)
        tls = {port: why for port, why in seen.items() if why and why.tls}
        if asked and all(why is None or why.tls for why in seen.values()):
            tls |= {port: _told(asked) for port in seen if port not in tls}
        if not tls:
            return
        together = kong.siblings(service, cluster)
        if any(other.annotation(kong.PROTOCOL) for other in together):
            return  # kong/services-of-one-rule-disagree: the whole rule is gone
        port, why = max(tls.items(), key=lambda item: item[1].confidence)
        routes = dict.fromkeys(entry.field for entry in entries)
        mixed = [other for other, told in seen.items() if told and not told.tls]
        likely = why.confidence > Confidence.POSSIBLE
        yield self.finding(
            service.at("metadata", "annotations", kong.PROTOCOL),
            f"Kong speaks plain HTTP to port {port.number('port')}, which looks like TLS: {why.why}",
            root=service,
            severity=Severity.CRITICAL if likely else Severity.HIGH,
            confidence=why.confidence,
            because=(why.field, *routes, *((asked,) if asked else ())),
            fix=None if mixed else _fix(together, sure=likely and len(tls) == len(seen)),
            advice=f"The annotation {kong.PROTOCOL} counts for all ports of a Service, and port "
            f"{mixed[0].number('port')} is clear text: make a second Service for the TLS port, "
            f"annotate that one with {kong.PROTOCOL}: https and lead its routes there"
            if mixed
            else "",
        )


def _told(annotation: Field) -> backend_tls.Evidence:
    """An annotation that does nothing, but says what its author knows."""
    why = f"{annotation.path[-1]}: {annotation.value} stands on {annotation.ref}"
    return backend_tls.Evidence(True, Confidence.LIKELY, annotation, why)


def _asked_for(service: Resource, entries: Sequence[kong.Entry]) -> Field | None:
    """An annotation in the wrong place, or of another controller, that asks for https."""
    wishes = ("nginx.ingress.kubernetes.io/backend-protocol", "konghq.com/backend-protocol")
    for holder in (service, *(entry.route for entry in entries)):
        for key in (*wishes, *((kong.PROTOCOL,) if holder != service else ())):
            field = holder.at("metadata", "annotations", key)
            if field.text().lower() == "https":
                return field
    return None


def _fix(together: Sequence[Resource], *, sure: bool) -> Fix:
    """The annotation, on all Services of its rules: Kong drops a rule whose Services differ."""
    title = "Tell Kong that this backend speaks HTTPS"
    if len(together) > 1:
        title += ", and the Services that share a rule with it"
    return Fix(
        title,
        tuple(s.changed("metadata", "annotations", kong.PROTOCOL, to="https") for s in together),
        needs_review=not sure or len(together) > 1,
    )
