"""allowedRoutes that say two things."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api


class NamespaceSelectorIgnored(Probe):
    """Routes are let in by another rule than the selector says.

    `allowedRoutes.namespaces.selector` counts only with `from: Selector`; beside `Same`, which
    is also the default, or `All` it is ignored. And `from: Selector` without a selector lets
    nobody in: Envoy Gateway does not program such a listener. The API server admits all of it.

    Not a problem for an empty selector `{}` with `from: Selector`: it selects every namespace.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.listeners[*].allowedRoutes.namespaces}'
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go (RouteNamespaces); tried on a
    kube-apiserver 1.36.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - name: http
        port: 80
        protocol: HTTP
        allowedRoutes: {namespaces: {selector: {matchLabels: {team: a}}}}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      listeners:
      - name: http
        port: 80
        protocol: HTTP
        allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: a}}}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    symptoms = ("NotAllowedByListeners",)

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A selector without `from: Selector`, and the reverse."""
        for listener in gateway_api.listeners(owner):
            namespaces = listener.field.at("allowedRoutes", "namespaces")
            source = namespaces.text("from") or "Same"
            if source == "Selector" and not namespaces.has("selector"):
                yield self.finding(
                    namespaces,
                    f"listener {listener.name} selects namespaces and has no selector",
                    advice="Say which namespaces in allowedRoutes.namespaces.selector, or use "
                    "from: All or Same",
                )
            elif source != "Selector" and namespaces.has("selector"):
                change = owner.changed(*namespaces.path, "from", to="Selector")
                yield self.finding(
                    namespaces.at("selector"),
                    f"listener {listener.name} takes routes from: {source} and ignores its selector",
                    severity=Severity.MEDIUM,
                    fix=Fix("Let the selector count", (change,), needs_review=True),
                )
