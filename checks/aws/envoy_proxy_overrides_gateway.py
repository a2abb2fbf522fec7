"""Two places, two values."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class EnvoyProxyOverridesGateway(Probe):
    """The load balancer does what the EnvoyProxy says, not the Gateway.

    Annotations of `EnvoyProxy.spec.provider.kubernetes.envoyService` win over
    `spec.infrastructure.annotations` of the Gateway. Whoever edits the Gateway changes nothing.

    Not a problem where both say the same, or a key stands in one place only.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].metadata.annotations}'
    ```

    Source: Envoy Gateway 1.9, internal/infrastructure/kubernetes/proxy.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec:
      controllerName: gateway.envoyproxy.io/gatewayclass-controller
      parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: nlb, namespace: infra}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyProxy
    metadata: {name: nlb, namespace: infra}
    spec:
      provider:
        type: Kubernetes
        kubernetes:
          envoyService:
            annotations:
              service.beta.kubernetes.io/aws-load-balancer-scheme: internal
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
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
          service.beta.kubernetes.io/aws-load-balancer-scheme: internal
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Keys of the Gateway that arrive with another value."""
        found = aws.balancer(gateway, cluster)
        if found is None or found.proxy is None:
            return
        for key, own in gateway.entries(*aws.INFRASTRUCTURE):
            winner = found.annotations[key]
            if not aws.is_aws_key(key) or winner.text() == own.text():
                continue
            yield self.finding(
                own,
                f"{key.removeprefix(aws.PREFIX)} is {own.text()} here and {winner.text()} on the "
                f"EnvoyProxy {winner.ref.name}, which wins",
                because=(winner,),
                fix=Fix(
                    "Say on the Gateway what is in force",
                    (gateway.changed(*own.path, to=winner.text()),),
                ),
            )
