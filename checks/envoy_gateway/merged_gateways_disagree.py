"""One Service, several Gateways, different annotations."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway, gateway_api


class MergedGatewaysDisagree(Probe):
    """The load balancer changes back and forth: merged Gateways disagree.

    With `mergeGateways` all Gateways of a class share one Service, and the annotations and labels
    of the Gateway that was processed last are written to it. Which one that is changes from one
    reconciliation to the next.

    Not a problem where only one of the Gateways has annotations of a key, or all have the same
    value, or the EnvoyProxy has the key: it wins over all of them.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gatewayclass=eg -w \\
      -o jsonpath='{.metadata.annotations}{"\\n"}'
    ```

    Source: Envoy Gateway 1.9, internal/infrastructure/kubernetes/proxy; issue 6501.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec:
      controllerName: gateway.envoyproxy.io/gatewayclass-controller
      parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: merged, namespace: infra}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyProxy
    metadata: {name: merged, namespace: infra}
    spec: {mergeGateways: true}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: a, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure: {annotations: {example.com/pool: blue}}
      listeners:
      - {name: a, port: 80, protocol: HTTP, hostname: a.example.com}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: b, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure: {annotations: {example.com/pool: green}}
      listeners:
      - {name: b, port: 80, protocol: HTTP, hostname: b.example.com}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY_CLASS,)
    needs = (kinds.GATEWAY, kinds.ENVOY_PROXY)
    symptoms = ("Connection timed out",)

    def check(self, gateway_class: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Keys with several values among the Gateways of a merged class."""
        if not gateway_api.is_envoy_gateway(gateway_class.text("spec", "controllerName")):
            return
        gateways = gateway_api.gateways_by_class(cluster).get(gateway_class.name, ())
        if len(gateways) < 2:
            return
        proxy = envoy_gateway.proxy(gateways[0], cluster)
        if proxy is None or not envoy_gateway.merges_gateways(proxy):
            return
        settled = proxy.labels(*aws.ENVOY_SERVICE, "annotations")
        for key in sorted({k for g in gateways for k in g.labels(*aws.INFRASTRUCTURE)}):
            spots = [
                g.at(*aws.INFRASTRUCTURE, key) for g in gateways if g.has(*aws.INFRASTRUCTURE, key)
            ]
            values = sorted({spot.text() for spot in spots})
            if key in settled or len(values) < 2:
                continue
            yield self.finding(
                spots[0],
                f"the merged Gateways of class {gateway_class.name} say {' and '.join(values)} for "
                f"{key}; the one processed last wins",
                because=tuple(spots[1:]),
                advice="Write the annotation on the EnvoyProxy "
                f"{proxy.namespace}/{proxy.name}, spec.provider.kubernetes.envoyService.annotations",
            )
