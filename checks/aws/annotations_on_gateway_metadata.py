"""AWS annotations where Envoy Gateway never looks."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway


class AnnotationsOnGatewayMetadata(Probe):
    """The load balancer is made without what metadata.annotations ask for.

    Envoy Gateway copies `spec.infrastructure.annotations` of a Gateway, and the annotations of
    its EnvoyProxy, to the Service that AWS reads. Those under `metadata.annotations` never
    arrive: the cluster builds its default load balancer, internal or Classic, without TLS, and
    no condition of the Gateway says so.

    Not a problem where the same keys also stand under `spec.infrastructure` or on the
    EnvoyProxy, or where the Service already carries them.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].metadata.annotations}'
    ```

    Source: Envoy Gateway 1.9, internal/infrastructure/kubernetes/proxy; issue 5418.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata:
      name: edge
      namespace: infra
      annotations:
        service.beta.kubernetes.io/aws-load-balancer-type: external
        service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-type: external
          service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = (
        "ERR_SSL_PROTOCOL_ERROR",
        "wrong version number",
        "http: server gave HTTP response to HTTPS client",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Keys that stand on the Gateway and do not reach the Service."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        lost = {key: spot.text() for key, spot in found.misplaced().items()}
        if not lost:
            return
        names = ", ".join(sorted(key.rpartition("/")[2] for key in lost))
        fix = _moved(found, lost)
        yield self.finding(
            gateway.at("metadata", "annotations"),
            f"{names} under metadata.annotations never reach the Service that AWS reads",
            severity=Severity.CRITICAL if aws.PREFIX + "ssl-cert" in lost else Severity.HIGH,
            fix=fix,
            advice=""
            if fix
            else "Put them on the EnvoyProxy, spec.provider.kubernetes.envoyService.annotations: "
            "spec.infrastructure.annotations of this Gateway has no room or is not used",
        )


def _moved(found: aws.Balancer, lost: dict[str, str]) -> Fix | None:
    if envoy_gateway.merges_gateways(found.proxy) and found.proxy is not None:
        place = (*aws.ENVOY_SERVICE, "annotations")
        present = found.proxy.labels(*place)
        change = aws.on_envoy_service(found.proxy, *place, to={**present, **lost})
    else:
        present = found.gateway.labels(*aws.INFRASTRUCTURE)
        if len({*present, *lost}) > aws.MOST_ANNOTATIONS:
            return None
        change = found.gateway.changed(*aws.INFRASTRUCTURE, to={**present, **lost})
    return Fix("Write the annotations where the Service gets them", (change,), needs_review=True)
