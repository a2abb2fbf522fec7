"""Parts of HTTPRoute that Kong does not translate."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong

_INSTEAD = {
    "RequestMirror": "Kong has no mirroring in HTTPRoute: take the filter out",
    "CORS": "Use a KongPlugin cors, named in konghq.com/plugins on the route",
}


class FilterUnsupported(Probe):
    """Kong does not serve an HTTPRoute as it is written: it lacks a feature.

    Kong's controller supports neither the filters RequestMirror and CORS nor filters on
    backendRefs, and matches query parameters only with the expressions router. Its webhook
    would refuse such a route, but the webhook is off unless it is asked for; then an event
    says that the route was not translated.

    Not a problem for routes of other controllers.

    ```sh
    kubectl -n NAMESPACE describe httproute NAME
    ```

    Source: Kong/kubernetes-ingress-controller internal/admission/validation/gateway (3.5).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: shop, namespace: shop}
    spec:
      parentRefs: [{name: kong}]
      rules:
      - filters: [{type: CORS, cors: {allowOrigins: ["https://example.com"]}}]
        backendRefs: [{name: shop, port: 80}]
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop}
    spec: {gatewayClassName: kong, listeners: [{name: http, protocol: HTTP, port: 80}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.HTTP_ROUTE,)
    needs = (kinds.GATEWAY, kinds.GATEWAY_CLASS)
    symptoms = (
        "HTTPRoute spec did not pass validation",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Filters and matches that Kong does not know, on a route of Kong's."""
        found = list(_unsupported(route))
        if not found or not kong.is_route(route, cluster):
            return
        for field, what, advice in found:
            yield self.finding(
                field,
                f"Kong does not support {what}",
                root=route,
                severity=Severity.MEDIUM if "query" in what else Severity.HIGH,
                confidence=Confidence.POSSIBLE if "query" in what else Confidence.LIKELY,
                advice=advice,
            )


def _unsupported(route: Resource) -> Iterator[tuple[Field, str, str]]:
    for rule in route.each("spec", "rules"):
        for step in rule.each("filters"):
            name = step.text("type")
            if name in _INSTEAD:
                yield step, f"the filter {name}", _INSTEAD[name]
        for backend in rule.each("backendRefs"):
            if list(backend.each("filters")):
                yield (
                    backend.at("filters"),
                    "filters on a backendRef",
                    "Move them to the rule; one rule for each backend where they differ",
                )
        for match in rule.each("matches"):
            if list(match.each("queryParams")):
                yield (
                    match.at("queryParams"),
                    "matches on query parameters, unless its router_flavor is expressions",
                    "Set router_flavor: expressions on the proxy, or match on path or header",
                )
