"""A parentRef into nothing."""

from collections.abc import Iterator, Sequence

from gwdoctor import (
    Cluster,
    Confidence,
    Field,
    Finding,
    Fix,
    Kind,
    Probe,
    Resource,
    Severity,
    kinds,
)
from gwdoctor.resolve import gateway_api


class ParentMissing(Probe):
    """Nobody serves this route: its parent does not exist.

    A parentRef without `namespace` means the namespace of the route itself, not that of "the"
    Gateway. No controller feels responsible for a parent that is not there, so the route gets
    no status at all; an empty status is the only sign.

    Not a problem for a parentRef of kind Service (group ""), which is for a mesh.

    ```sh
    kubectl get gateways,listenersets -A
    ```

    Source: gateway-api 1.6, apis/v1/shared_types.go (ParentReference); issues 836 and 3738.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge, namespace: infra}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (*gateway_api.ROUTES, kinds.LISTENER_SET)
    needs = (kinds.GATEWAY,)
    symptoms = (
        "404 Not Found",
        "route has no status",
        "404 NR route_not_found",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """parentRefs of routes, the parentRef of a ListenerSet."""
        references = list(route.each("spec", "parentRefs"))
        if route.ref.kind == kinds.LISTENER_SET:
            references = [route.at("spec", "parentRef")]
        for reference in references:
            kind, name = gateway_api.parent_kind(reference), reference.text("name")
            if kind is None or not name:
                continue
            namespace = reference.text("namespace") or route.namespace
            if cluster.get(kind, namespace, name) is not None:
                continue
            elsewhere = gateway_api.named(kind, name, cluster)
            yield self.finding(
                reference,
                f"{kind.name} {namespace}/{name} does not exist",
                root=route,
                marker=f"{namespace}/{gateway_api.section_of(reference)}",
                because=tuple(elsewhere),
                fix=_fix(route, reference, kind, elsewhere),
                advice=""
                if len(elsewhere) == 1
                else "Name a Gateway or ListenerSet that exists, with its namespace",
            )


def _fix(
    route: Resource, reference: Field, kind: Kind, elsewhere: Sequence[Resource]
) -> Fix | None:
    if len(elsewhere) != 1:
        return None
    namespace = elsewhere[0].namespace
    change = route.changed(*reference.path, "namespace", to=namespace)
    return Fix(f"Name the namespace of the {kind.name}", (change,), needs_review=True)
