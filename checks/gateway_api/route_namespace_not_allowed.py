"""A listener that does not take routes from this namespace."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api


class RouteNamespaceNotAllowed(Probe):
    """Nobody serves this route: the listener takes none from its namespace.

    A listener takes routes of its own namespace only, unless `allowedRoutes.namespaces` says
    `from: All` or selects namespaces by label. In a ListenerSet `Same` means the namespace of
    the ListenerSet, not that of the Gateway. A ReferenceGrant has no say in this.

    Not a problem where the controller accepted the route as it is now, or where keeping it out
    is meant.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.listeners[*].allowedRoutes}'
    ```

    Source: gateway-api 1.6 conformance, httproute-invalid-cross-namespace-parent-ref
    (NotAllowedByListeners).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge, namespace: infra}]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
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
        allowedRoutes:
          namespaces:
            from: Selector
            selector:
              matchExpressions:
              - {key: kubernetes.io/metadata.name, operator: In, values: [app, infra]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = gateway_api.PARENT_NEEDS
    symptoms = (
        "NotAllowedByListeners",
        "404 Not Found",
        "404 NR route_not_found",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Parents all of whose fitting listeners keep the namespace out."""
        for parent in gateway_api.parents(route, cluster):
            if gateway_api.refusal(parent, cluster) != "NamespaceNotAllowed":
                continue
            if gateway_api.accepted(parent) or parent.owner is None:
                continue
            closed = [one for one in parent.selected if gateway_api.takes_kind(one, route)]
            fix = None
            allowed = closed[0].field.at("allowedRoutes", "namespaces")
            if len(closed) == 1 and (allowed.text("from") or "Same") == "Same":
                admitted = {
                    "from": "Selector",
                    "selector": {
                        "matchExpressions": [
                            {
                                "key": "kubernetes.io/metadata.name",
                                "operator": "In",
                                "values": sorted({parent.owner.namespace, route.namespace}),
                            }
                        ]
                    },
                }
                change = parent.owner.changed(*allowed.path, to=admitted)
                fix = Fix("Let the listener take this namespace too", (change,), needs_review=True)
            yield self.finding(
                parent.field,
                f"listener {', '.join(one.name for one in closed)} of {parent.owner.ref} takes no "
                f"routes from namespace {route.namespace}",
                root=route,
                marker=gateway_api.section_of(parent.field),
                because=tuple(one.field for one in closed),
                fix=fix,
                advice=""
                if fix
                else "Give the namespace the labels that allowedRoutes selects, "
                "or widen allowedRoutes of the listener it is meant for",
            )
