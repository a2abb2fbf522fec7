"""A class that Kong's controller leaves alone."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import status

_UNMANAGED = "konghq.com/gatewayclass-unmanaged"


class GatewayClassNotReconciled(Probe):
    """Kong ignores the Gateways of a class: it is not marked as unmanaged.

    The stand-alone controller (`konghq.com/kic-gateway-controller`) takes only Gateways whose
    **GatewayClass** carries `konghq.com/gatewayclass-unmanaged` with any value. On the Gateway,
    where `konghq.com/gateway-unmanaged` once stood, nothing is read. The Gateways stay at
    `Waiting for controller` and their routes answer 404.

    Not a problem for classes of the Kong operator (`konghq.com/gateway-operator`), which makes
    the proxies itself, or where a Gateway of the class has been accepted.

    ```sh
    kubectl get gatewayclass NAME -o yaml | grep unmanaged; kubectl get gateway -A
    ```

    Source: Kong/kubernetes-ingress-controller internal/controllers/gateway (3.5).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop}
    spec: {gatewayClassName: kong, listeners: [{name: http, protocol: HTTP, port: 80}]}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY_CLASS,)
    needs = (kinds.GATEWAY,)
    symptoms = ("Waiting for controller", "no Route matched with those values")

    def check(self, gateway_class: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A class of the stand-alone controller with Gateways and without the annotation."""
        if gateway_class.text("spec", "controllerName") != "konghq.com/kic-gateway-controller":
            return
        if gateway_class.annotation(_UNMANAGED):
            return
        gateways = [
            gateway
            for gateway in cluster[kinds.GATEWAY]
            if gateway.text("spec", "gatewayClassName") == gateway_class.name
        ]
        if not gateways or any(
            status.says(gateway, gateway.at("status"), "Accepted", "True") for gateway in gateways
        ):
            return
        field = gateway_class.at("metadata", "annotations", _UNMANAGED)
        names = ", ".join(f"{g.namespace}/{g.name}" for g in gateways[:5])
        yield self.finding(
            field,
            f"this class is not marked as unmanaged: Kong's controller ignores Gateway {names}",
            root=gateway_class,
            because=tuple(gateways),
            fix=Fix(
                "Mark the class",
                (gateway_class.changed(*field.path, to="true"),),
                needs_review=True,
            ),
        )
