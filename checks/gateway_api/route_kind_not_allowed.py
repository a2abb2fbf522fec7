"""A route on a listener for other kinds of routes."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api


class RouteKindNotAllowed(Probe):
    """Nobody serves this route: the listener takes other kinds of routes.

    HTTP and HTTPS listeners take HTTPRoutes and GRPCRoutes, TLS ones TLSRoutes (those that end
    TLS also TCPRoutes), TCP and UDP ones their own; `allowedRoutes.kinds` can only narrow that.

    Not a problem where the controller accepted the route as it is now.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.status.listeners[*].supportedKinds}'
    ```

    Source: gateway-api 1.6 conformance, httproute-disallowed-kind and
    tcproute-invalid-non-tcp-listener (NotAllowedByListeners).

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
    kind: TCPRoute
    metadata: {name: db, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: db, port: 5432}]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = gateway_api.PARENT_NEEDS
    symptoms = (
        "NotAllowedByListeners",
        "404 Not Found",
        "404 NR route_not_found",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Parents none of whose picked listeners is for this kind."""
        for parent in gateway_api.parents(route, cluster):
            if gateway_api.refusal(parent, cluster) != "KindNotAllowed":
                continue
            if gateway_api.accepted(parent) or parent.owner is None:
                continue
            there = ", ".join(f"{one.name} ({one.protocol})" for one in parent.selected)
            kind = route.ref.kind
            narrowed = [one for one in parent.selected if gateway_api.fits_protocol(one, kind)]
            yield self.finding(
                parent.field,
                f"listener {there} of {parent.owner.ref} takes no {kind.name}",
                root=route,
                marker=gateway_api.section_of(parent.field),
                because=tuple(one.field for one in parent.selected),
                advice=f"Add {kind.name} to allowedRoutes.kinds of listener {narrowed[0].name}, or "
                "attach to another listener"
                if narrowed
                else f"Attach to a listener whose protocol takes {kind.name}",
            )
