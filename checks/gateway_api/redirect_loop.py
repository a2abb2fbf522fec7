"""A redirect on the listener that it leads to."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import http_matches
from gwdoctor.resolve.gateway_api import Listener


class RedirectLoop(Probe):
    """Browsers give up: a redirect leads to the address it came from.

    A parentRef without `sectionName` attaches a route to *every* listener of the Gateway. A
    redirect to https then also answers on the HTTPS listener, with the address that the client
    asked for. Where another rule with the same match is older, it gets the requests instead, and
    the loop waits for the day that rule goes.

    Not a problem where scheme, port, host or path of the redirect differ from those of the
    request, as on the listener for plain http.

    ```sh
    curl -sIL --max-redirs 5 https://HOST/ | grep -i '^location'
    ```

    Source: gateway-api 1.6, apis/v1/httproute_types.go; issues 1185, 2095, 2622.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
      - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: redirect, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      rules:
      - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: redirect, namespace: infra}
    spec:
      parentRefs: [{name: edge, sectionName: http}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.HTTP_ROUTE,)
    needs = http_matches.NEEDS
    symptoms = ("ERR_TOO_MANY_REDIRECTS", "Maximum (50) redirects followed")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One finding a parentRef, worst first."""
        told = set()
        found = sorted(http_matches.loops(route, cluster, _scheme), key=lambda one: one.is_shadowed)
        for loop in found:
            if loop.parent.field in told:
                continue
            told.add(loop.parent.field)
            fix = http_matches.bound_to_clear_text(route, loop.parent, cluster, _scheme)
            yield self.finding(
                loop.redirect,
                f"on listener {loop.listener.name} ({_scheme(loop.listener)}, port "
                f"{loop.listener.port}) this redirect leads back to itself"
                + (", if an older rule with the same match did not answer" * loop.is_shadowed),
                severity=Severity.MEDIUM if loop.is_shadowed else Severity.CRITICAL,
                because=(loop.parent.field, loop.listener.field),
                fix=fix,
                advice="" if fix else _ADVICE,
                marker=loop.parent.field.pointer,
            )


_ADVICE = (
    "Make two routes: the redirect with sectionName of the listener for plain http, the rest with "
    "that of the listener for https"
)


def _scheme(listener: Listener) -> str:
    return {"HTTP": "http", "HTTPS": "https"}.get(listener.protocol, "")
