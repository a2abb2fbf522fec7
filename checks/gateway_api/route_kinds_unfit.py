"""allowedRoutes.kinds that the protocol cannot serve."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Kind, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api
from gwdoctor.resolve.gateway_api import GROUP, ROUTES


class RouteKindsUnfit(Probe):
    """The listener names kinds of routes that it cannot serve.

    `allowedRoutes.kinds` narrows what the protocol takes: HTTPRoute and GRPCRoute for HTTP and
    HTTPS, TLSRoute for TLS (TCPRoute too where TLS ends there), TCPRoute and UDPRoute for theirs.
    Kinds that do not fit leave the rest working; if none fits, no route ever attaches.

    Not a problem for kinds of other groups, which are up to the controller.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.status.listeners[*].supportedKinds}'
    ```

    Source: gateway-api 1.6 conformance, gateway-invalid-route-kind (InvalidRouteKinds).

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
        allowedRoutes: {kinds: [{kind: TCPRoute}, {kind: HTTPRoute}]}
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
        allowedRoutes: {kinds: [{kind: HTTPRoute}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    symptoms = ("InvalidRouteKinds",)

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Kinds that do not exist in the group, or do not fit the protocol."""
        for listener in gateway_api.listeners(owner):
            entries = list(listener.field.each("allowedRoutes", "kinds"))
            unfit = [entry for entry in entries if not _fits(entry, listener)]
            if not unfit or gateway_api.is_accepted(listener, "ResolvedRefs"):
                continue
            fit = [entry.value for entry in entries if entry not in unfit]
            change = owner.changed(
                *listener.field.path, "allowedRoutes", "kinds", to=fit or _any_of(listener)
            )
            names = ", ".join(entry.text("kind") for entry in unfit)
            yield self.finding(
                unfit[0],
                f"listener {listener.name} ({listener.protocol}) cannot serve {names}"
                + ("" if fit else ": no route attaches"),
                severity=Severity.MEDIUM if fit else Severity.HIGH,
                because=tuple(unfit[1:]),
                fix=Fix("Name the kinds that it can serve", (change,), needs_review=True),
            )


def _fits(entry: Field, listener: gateway_api.Listener) -> bool:
    kind = Kind(entry.text("kind"), entry.text("group") if entry.has("group") else GROUP)
    if kind.group != GROUP:
        return True
    return kind in ROUTES and gateway_api.fits_protocol(listener, kind)


def _any_of(listener: gateway_api.Listener) -> list[dict[str, str]]:
    return [{"kind": k.name} for k in ROUTES if gateway_api.fits_protocol(listener, k)]
