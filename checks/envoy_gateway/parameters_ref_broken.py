"""A parametersRef that Envoy Gateway cannot follow."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, gateway_api


class ParametersRefBroken(Probe):
    """The Gateways are not run: their parameters cannot be found.

    Envoy Gateway takes parameters of kind EnvoyProxy (group `gateway.envoyproxy.io`) and nothing
    else. On a GatewayClass the reference carries a namespace, and without one means `default`;
    on a Gateway it is always the Gateway's own namespace. A class with broken parameters stalls
    all its Gateways.

    Not a problem for classes of other controllers, which have kinds of their own.

    ```sh
    kubectl get gatewayclass eg -o jsonpath='{.spec.parametersRef}{.status.conditions}'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi (InvalidParameters); issue 6935.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec:
      controllerName: gateway.envoyproxy.io/gatewayclass-controller
      parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: custom}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyProxy
    metadata: {name: custom, namespace: envoy-gateway-system}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {parametersRef: {name: custom, namespace: envoy-gateway-system}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY_CLASS, kinds.GATEWAY)
    needs = (kinds.ENVOY_PROXY,)
    symptoms = ("InvalidParameters",)

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """References to other kinds, or to an EnvoyProxy that is not there."""
        if owner.ref.kind == kinds.GATEWAY_CLASS:
            reference = owner.at("spec", "parametersRef")
            controller = owner.text("spec", "controllerName")
            namespace = reference.text("namespace") or "default"
        else:
            reference = owner.at("spec", "infrastructure", "parametersRef")
            if not reference.has():
                return
            controller = gateway_api.controller(owner, cluster)
            namespace = owner.namespace
        name = reference.text("name")
        if not name or not gateway_api.is_envoy_gateway(controller):
            return
        kind = (reference.text("group"), reference.text("kind"))
        if kind != (envoy_gateway.GROUP, "EnvoyProxy"):
            yield self.finding(
                reference,
                f'Envoy Gateway takes no parameters of kind {kind[1]} of group "{kind[0]}"',
                advice="Refer to an EnvoyProxy of group gateway.envoyproxy.io",
            )
        elif cluster.get(kinds.ENVOY_PROXY, namespace, name) is None:
            yield self._missing(owner, reference, namespace, cluster)

    def _missing(
        self, owner: Resource, reference: Field, namespace: str, cluster: Cluster
    ) -> Finding:
        name = reference.text("name")
        elsewhere = gateway_api.named(kinds.ENVOY_PROXY, name, cluster)
        fix = None
        if len(elsewhere) == 1 and owner.ref.kind == kinds.GATEWAY_CLASS:
            change = owner.changed(*reference.path, "namespace", to=elsewhere[0].namespace)
            fix = Fix("Name the namespace of the EnvoyProxy", (change,), needs_review=True)
        return self.finding(
            reference,
            f"EnvoyProxy {namespace}/{name} does not exist",
            because=tuple(elsewhere),
            fix=fix,
            advice="" if fix else "Make this EnvoyProxy, or name one that exists",
        )
