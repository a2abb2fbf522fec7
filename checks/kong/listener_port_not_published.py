"""Kong's Gateway API does not open ports."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, kong, status

_PUBLISH = "konghq.com/publish-service"


class ListenerPortNotPublished(Probe):
    """A listener of Kong is refused: the proxy's Service has no such port.

    An unmanaged Gateway describes a Kong that runs already: each listener's port must be a
    **port of the Service** that publishes the proxy (`konghq.com/publish-service`), and Kong
    must listen there with that protocol. Another port gives `PortUnavailable`, and routes
    bound to the listener answer 404.

    Not a problem for Gateways of the Kong operator, which makes the Service, or where the
    controller has accepted the listener.

    ```sh
    kubectl -n NAMESPACE get gateway NAME -o jsonpath='{.status.listeners}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/controllers/gateway/gateway_utils.go (3.5).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop, annotations: {konghq.com/publish-service: kong/proxy}}
    spec: {gatewayClassName: kong, listeners: [{name: http, protocol: HTTP, port: 8080}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong, annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: proxy, namespace: kong}
    spec: {ports: [{name: proxy, port: 80, targetPort: 8000}]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (kinds.GATEWAY_CLASS, kinds.SERVICE)
    symptoms = (
        "PortUnavailable",
        "no Kong listen with the requested protocol is configured",
        "Connection refused",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Listeners on ports that none of the publish Services has."""
        published = [
            (namespace, name)
            for item in gateway.annotation(_PUBLISH).split(",")
            for namespace, _, name in [item.strip().partition("/")]
            if name
        ]
        if not published or not kong.is_gateway_class(
            gateway.text("spec", "gatewayClassName"), cluster
        ):
            return
        services = [cluster.get(kinds.SERVICE, *key) for key in published]
        if None in services:
            return
        ports = {p.number("port") for s in services if s for p in s.each("spec", "ports")}
        for listener in gateway_api.listeners(gateway):
            if listener.port is None or listener.port in ports:
                continue
            told = _status(gateway, listener.name)
            if told is not None and status.says(gateway, told, "Accepted", "True"):
                continue
            refused = told is not None and status.says(gateway, told, "Accepted", "False")
            names = ", ".join("/".join(key) for key in published)
            there = ", ".join(str(port) for port in sorted(p for p in ports if p))
            yield self.finding(
                listener.field.at("port"),
                f"Service {names}, which publishes Kong, has no port {listener.port} (it has "
                f"{there or 'none'})",
                root=gateway,
                confidence=Confidence.CERTAIN if refused else Confidence.LIKELY,
                because=tuple(s.at("spec", "ports") for s in services if s),
                advice=f"Use one of the ports {there}, or add the port to the Service and a listen "
                "to the proxy (proxy_listen)",
            )


def _status(gateway: Resource, name: str) -> Field | None:
    found = (f for f in gateway.each("status", "listeners") if f.text("name") == name)
    return next(found, None)
