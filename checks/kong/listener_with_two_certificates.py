"""One certificate a listener."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, kong


class ListenerWithTwoCertificates(Probe):
    """Kong serves its own certificate: the listener names more than one.

    Kong's controller loads a listener's certificate only where `certificateRefs` has exactly
    one entry. With two it loads **none** (its event even prints a literal `%s`), and clients
    get `CN=localhost`.

    Not a problem for other controllers, several of which load them all (RSA and ECDSA).

    ```sh
    curl -kvI https://HOST/ 2>&1 | grep subject:
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator/translate_certs.go
    (3.5); issue 2604 there.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop}
    spec:
      gatewayClassName: kong
      listeners:
      - name: https
        protocol: HTTPS
        port: 443
        tls: {certificateRefs: [{name: shop-rsa}, {name: shop-ecdsa}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (kinds.GATEWAY_CLASS,)
    symptoms = (
        "has more than one certificateRef",
        "CN=localhost",
        "NET::ERR_CERT_AUTHORITY_INVALID",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Listeners of a Gateway of Kong's with several certificates."""
        if not kong.is_gateway_class(gateway.text("spec", "gatewayClassName"), cluster):
            return
        for listener in gateway_api.listeners(gateway):
            references = list(listener.field.each("tls", "certificateRefs"))
            if len(references) < 2 or listener.tls_mode != "Terminate":
                continue
            names = ", ".join(reference.text("name") for reference in references)
            yield self.finding(
                listener.field.at("tls", "certificateRefs"),
                f"listener {listener.name} names {names}: Kong loads none of them",
                root=gateway,
                advice="Keep one certificate that covers all names of the listener, or make a "
                "listener with its own hostname for each",
            )
