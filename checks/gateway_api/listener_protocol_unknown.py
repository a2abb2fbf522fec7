"""A protocol that nobody speaks."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api

_KNOWN = ("HTTP", "HTTPS", "TLS", "TCP", "UDP")
_MEANT = {"GRPC": "HTTP", "HTTP2": "HTTP", "H2C": "HTTP", "GRPCS": "HTTPS"}


class ListenerProtocolUnknown(Probe):
    """The listener is not served: no controller knows its protocol.

    The API server takes any word. Known are HTTP, HTTPS, TLS, TCP and UDP, in capitals, and what
    a controller calls `its.domain/NAME`. gRPC is no protocol of a listener: it comes in on HTTP
    or HTTPS.

    Not a problem for a name with a domain, which is up to the controller.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.status.listeners[*].conditions}'
    ```

    Source: gateway-api 1.6 conformance, gateway-invalid-listeners-unsupported-protocol.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: http}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    symptoms = (
        "UnsupportedProtocol",
        "Connection refused",
    )

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Words that are neither known nor a controller's own."""
        for listener in gateway_api.listeners(owner):
            protocol = listener.protocol
            if not protocol or protocol in _KNOWN or "/" in protocol:
                continue
            if gateway_api.is_accepted(listener, "Accepted"):
                continue
            upper = protocol.upper()
            meant = upper if upper in _KNOWN else _MEANT.get(upper, "")
            spot = listener.field.at("protocol")
            fix = None
            if meant:
                change = owner.changed(*spot.path, to=meant)
                fix = Fix(f"Say {meant}", (change,), needs_review=True)
            yield self.finding(
                spot,
                f"listener {listener.name} has protocol {protocol}, which no controller knows",
                fix=fix,
                advice="" if fix else f"Choose one of {', '.join(_KNOWN)}",
            )
