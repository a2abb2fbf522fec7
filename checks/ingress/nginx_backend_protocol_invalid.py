"""A backend protocol that ingress-nginx does not know."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress

_KEY = "nginx.ingress.kubernetes.io/backend-protocol"
_VALID = ("AUTO_HTTP", "HTTP", "HTTPS", "GRPC", "GRPCS", "FCGI")


class NginxBackendProtocolInvalid(Probe):
    """ingress-nginx speaks plain HTTP: it does not know the backend protocol.

    The annotation takes AUTO_HTTP, HTTP, HTTPS, GRPC, GRPCS and FCGI, in any case. Any other
    value is logged and counts as HTTP; a validating webhook, where installed, refuses it.

    Not a problem on an Ingress of another controller.

    ```sh
    kubectl -n ingress-nginx logs deploy/ingress-nginx-controller | grep -i 'backend-protocol'
    ```

    Source: kubernetes/ingress-nginx internal/ingress/annotations/backendprotocol (1.15).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {nginx.ingress.kubernetes.io/backend-protocol: " HTTPS"}
    spec: {ingressClassName: nginx}
    ```

    ```yaml fixed
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = (
        "Client sent an HTTP request to an HTTPS server",
        "502 Bad Gateway",
        "tls: first record does not look like a TLS handshake",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A value that is none of the six, on an Ingress of ingress-nginx."""
        value = subject.at("metadata", "annotations", _KEY)
        if not value.text() or value.text().upper() in _VALID:
            return
        if not ingress.served_class(subject, cluster, ingress.NGINX):
            return
        meant = value.text().strip().upper()
        known = meant in _VALID
        fix = Fix(f"Write {meant}", (subject.changed(*value.path, to=meant),))
        yield self.finding(
            value,
            f"ingress-nginx does not know the protocol {value.text()!r} and speaks HTTP",
            root=subject,
            fix=fix if known else None,
            advice="" if known else f"Choose what the backend speaks: {', '.join(_VALID)}",
        )
