"""An EnvoyProxy that nothing refers to."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway


class EnvoyProxyUnused(Probe):
    """This EnvoyProxy has no effect: no class and no Gateway names it.

    An EnvoyProxy is not a policy: it does not select. A GatewayClass names it by
    `spec.parametersRef` (with its namespace; left out it means `default`), or a Gateway of the
    same namespace by `spec.infrastructure.parametersRef`.

    Not a problem for one that is kept for later.

    ```sh
    kubectl get gatewayclasses,gateways -A -o yaml | grep -A5 parametersRef
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi; issue 6935.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyProxy
    metadata: {name: custom, namespace: envoy-gateway-system}
    spec: {provider: {type: Kubernetes}}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.ENVOY_PROXY,)
    needs = (kinds.GATEWAY_CLASS, kinds.GATEWAY)

    def check(self, proxy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """No parametersRef of any class or Gateway leads here."""
        if (proxy.namespace, proxy.name) in envoy_gateway.proxies_in_use(cluster):
            return
        yield self.finding(
            proxy,
            "no GatewayClass and no Gateway of namespace "
            f"{proxy.namespace} has a parametersRef to it",
            because=cluster.derive(_classes_by_name).get(proxy.name, ()),
            advice="Name it in spec.parametersRef of the GatewayClass (group gateway.envoyproxy.io, "
            "kind EnvoyProxy, with namespace), or in spec.infrastructure.parametersRef of a "
            "Gateway in its namespace",
        )


def _classes_by_name(cluster: Cluster) -> Mapping[str, tuple[Resource, ...]]:
    """Classes by the name in their parametersRef, which may be of another namespace."""
    index: dict[str, tuple[Resource, ...]] = {}
    for found in cluster[kinds.GATEWAY_CLASS]:
        name = found.text("spec", "parametersRef", "name")
        index[name] = (*index.get(name, ()), found)
    return index
