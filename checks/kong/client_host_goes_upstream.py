"""preserve_host: the trap behind host-header and tls-verify."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong, kong_annotations

_PRESERVE = "konghq.com/preserve-host"


class ClientHostGoesUpstream(Probe):
    """Kong sends the client's Host to a backend that is to see another name.

    The controller sets `preserve_host` on every route, so the backend gets the Host of the
    client, and a TLS backend gets it as SNI and has its certificate checked against **it**.
    `konghq.com/host-header` on the Service does nothing then, and `konghq.com/tls-verify`
    fails with 502 unless the backend's certificate names the public host. Both come to life
    with `konghq.com/preserve-host: "false"` on each route.

    Not a problem where the backend's certificate covers the public host names too, or where
    all routes to the Service turn preserve-host off.

    ```sh
    kubectl -n KONG logs deploy/PROXY | grep 'upstream SSL certificate does not match'
    ```

    Source: Kong/kong kong/templates/nginx_kong.lua, proxy_ssl_name (3.9);
    Kong/kubernetes-ingress-controller internal/dataplane/translator (3.5), PreserveHost.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/host-header: shop.internal}}
    spec: {ports: [{port: 80}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```

    ```yaml fixed
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {annotations: {konghq.com/preserve-host: "false"}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SERVICE,)
    needs = kong.ENTRY_KINDS
    symptoms = (
        "upstream SSL certificate does not match",
        "upstream SSL certificate does not match ... while SSL handshaking to upstream",
        "502 Bad Gateway",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """host-header or tls-verify on a Service with routes that preserve the Host."""
        annotations = service.at("metadata", "annotations")
        header, verify = (
            annotations.at("konghq.com/host-header"),
            annotations.at("konghq.com/tls-verify"),
        )
        verifies = (
            kong.protocol(service) in kong.TLS_PROTOCOLS
            and kong_annotations.parse_bool(verify.text()) is True
        )
        if not header.text() and not verifies:
            return
        routes = dict.fromkeys(
            entry.route
            for entry in kong.entries(service, cluster)
            if entry.route.annotation(_PRESERVE).lower() != "false"
        )
        if not routes:
            return
        names = ", ".join(str(route.ref) for route in routes)
        yield self.finding(
            header if header.text() else verify,
            f"Kong keeps the client's Host on {names}: {header.text()} is never sent"
            if header.text()
            else f"Kong keeps the client's Host on {names} and verifies the backend's certificate "
            "against it",
            root=service,
            severity=Severity.HIGH if verifies else Severity.MEDIUM,
            confidence=Confidence.LIKELY if header.text() else Confidence.POSSIBLE,
            because=tuple(r.at("metadata", "annotations", _PRESERVE) for r in routes),
            fix=Fix(
                "Send the backend's own name instead of the client's Host",
                tuple(r.changed("metadata", "annotations", _PRESERVE, to="false") for r in routes),
                needs_review=True,
            ),
        )
