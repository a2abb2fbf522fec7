"""Route options that Kong's schema does not allow together."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong, kong_annotations

_SUBSETS = (
    {"http", "https"},
    {"tcp", "tls"},
    {"tls_passthrough"},
    {"grpc", "grpcs"},
    {"ws", "wss"},
)


class RouteProtocolsRefused(Probe):
    """Kong rejects its whole configuration: a route's protocols conflict.

    The protocols of one route must come from one of these sets: http and https; grpc and
    grpcs; ws and wss; tcp and tls; tls_passthrough. A route of grpc and grpcs can have no
    methods. Kong refuses the push over one such route, and **every** route of the cluster
    stays as it was.

    Not a problem where grpc and http stand together: the controller makes http and https of
    them. A protocol that does not exist makes the controller ignore the whole annotation
    (kong/annotation-value-ignored).

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kong kong/db/schema/entities/routes.lua and routes_subschemas.lua (3.9).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/protocols: "http,tcp"}}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS, kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
    needs = (kinds.INGRESS_CLASS, kinds.GATEWAY, kinds.GATEWAY_CLASS)
    symptoms = (
        "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'",
        "these sets are mutually exclusive",
        "failed to apply Kong configuration",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Protocols of two sets, or methods with gRPC, on a route of Kong's."""
        protocols = route.at("metadata", "annotations", "konghq.com/protocols")
        methods = route.at("metadata", "annotations", "konghq.com/methods")
        told = set(protocols.text().split(",")) if protocols.text() else set()
        if not told or not told <= set(kong.PROTOCOLS):
            return
        both = bool(told & {"http", "https"}) and bool(told & {"grpc", "grpcs"})
        mixed = not both and not any(told <= subset for subset in _SUBSETS)
        grpc_methods = told <= {"grpc", "grpcs"} and bool(methods.text())
        if not (mixed or grpc_methods) or not _is_kongs(route, cluster):
            return
        if mixed:
            yield self._found(
                route, protocols, f"{protocols.text()} exclude each other in one route", None
            )
        else:
            command = kong_annotations.annotate(
                route.ref.kind, route.namespace, route.name, "konghq.com/methods-"
            )
            fix = Fix("Take the methods away", needs_review=True, commands=(command,))
            yield self._found(route, methods, f"a {protocols.text()} route has no methods", fix)

    def _found(self, route: Resource, field: Field, why: str, fix: Fix | None) -> Finding:
        return self.finding(
            field,
            f"{why}: Kong rejects the whole configuration",
            root=route,
            fix=fix,
            advice=""
            if fix
            else "Keep the protocols of one set: http,https or grpc,grpcs or ws,wss or tcp,tls or "
            "tls_passthrough; make a second route for the others",
        )


def _is_kongs(route: Resource, cluster: Cluster) -> bool:
    if route.ref.kind == kinds.INGRESS:
        return bool(ingress.served_class(route, cluster, ingress.KONG))
    return kong.is_route(route, cluster)
