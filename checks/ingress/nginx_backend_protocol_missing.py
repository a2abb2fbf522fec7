"""The sister of kong/upstream-protocol-missing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import backend_tls, ingress, services

_PREFIX = "nginx.ingress.kubernetes.io/"
_KEY = _PREFIX + "backend-protocol"


class NginxBackendProtocolMissing(Probe):
    """ingress-nginx speaks plain HTTP to a backend that expects TLS.

    ingress-nginx takes the protocol of **all** backends of an Ingress from its annotation
    `backend-protocol`, and neither from the port's name and number nor from `appProtocol`. The
    backend answers 400 or resets the connection.

    Not a problem with `ssl-passthrough`, or where the port is clear text after all (443 that
    leads to a plain 8080, a readiness probe over HTTP on that port).

    ```sh
    kubectl -n NAMESPACE run tls-test --rm -it --image=alpine/openssl --restart=Never -- \\
      s_client -connect SERVICE:PORT -brief
    ```

    Source: kubernetes/ingress-nginx internal/ingress/annotations/backendprotocol (1.15).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: dashboard, namespace: ops}
    spec:
      ingressClassName: nginx
      defaultBackend: {service: {name: dashboard, port: {number: 443}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: dashboard, namespace: ops}
    spec: {selector: {app: dashboard}, ports: [{name: https, port: 443, targetPort: 8443}]}
    ```

    ```yaml fixed
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS, kinds.SERVICE, *backend_tls.KINDS)
    symptoms = (
        "Client sent an HTTP request to an HTTPS server",
        "The plain HTTP request was sent to HTTPS port",
        "upstream prematurely closed connection while reading response header",
        "tls: first record does not look like a TLS handshake",
        "502 Bad Gateway",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A backend that looks like TLS, of an Ingress that names no protocol."""
        if (
            subject.annotation(_KEY)
            or subject.annotation(_PREFIX + "ssl-passthrough") == "true"
            or not ingress.served_class(subject, cluster, ingress.NGINX)
        ):
            return
        seen: dict[Field, tuple[ingress.Backend, backend_tls.Evidence | None]] = {}
        for backend in ingress.backends(subject):
            service = cluster.get(kinds.SERVICE, subject.namespace, backend.service)
            port = services.port(service, backend.port) if service is not None else None
            if service is not None and port is not None and port not in seen:
                seen[port] = backend, backend_tls.evidence(service, port, cluster)
        tls = [(b, why) for b, why in seen.values() if why is not None and why.tls]
        if not tls:
            return
        backend, why = max(tls, key=lambda item: item[1].confidence)
        others = [b for b, told in seen.values() if told is None or not told.tls]
        likely = why.confidence > Confidence.POSSIBLE
        field = subject.at("metadata", "annotations", _KEY)
        fix = Fix(
            "Speak HTTPS to the backends of this Ingress",
            (subject.changed(*field.path, to="HTTPS"),),
            needs_review=not likely or len(tls) < len(seen),
        )
        yield self.finding(
            field,
            f"ingress-nginx speaks plain HTTP to {backend.service}:{backend.port}, which looks "
            f"like TLS: {why.why}",
            root=subject,
            severity=Severity.CRITICAL if likely else Severity.HIGH,
            confidence=why.confidence,
            because=(why.field, backend.field),
            fix=None if others else fix,
            advice=f"The annotation counts for all backends of an Ingress, and {others[0].service}:"
            f"{others[0].port} does not look like TLS: make an Ingress of their own for the paths "
            f"that lead to TLS, with {_KEY}: HTTPS"
            if others
            else "",
        )
