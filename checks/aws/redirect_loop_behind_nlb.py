"""A redirect to https where everything already was https."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, gateway_api, http_matches
from gwdoctor.resolve.gateway_api import Listener


class RedirectLoopBehindNlb(Probe):
    """Browsers give up: the redirect to https answers https requests too.

    Behind a load balancer that ends TLS both listeners, 80 and 443, have protocol HTTP, and Envoy
    sees `http` on both. A redirect to https that is attached to the listener on 443 sends the
    client to where it already is, for ever. Only `sectionName` tells the two listeners apart;
    testing X-Forwarded-Proto does not help, an NLB adds no headers.

    Not a problem on the listener that the plain port of the load balancer feeds.

    ```sh
    curl -sIL --max-redirs 5 https://HOST/ | grep -i '^location'
    ```

    Source: gateway-api 1.6, apis/v1/httproute_types.go; aws-load-balancer-controller 3,
    docs/guide/service/annotations.md.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-type: external
          service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:1:certificate/c
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: "443"
      listeners:
      - {name: http, port: 80, protocol: HTTP}
      - {name: https, port: 443, protocol: HTTP}
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
    subjects = (kinds.HTTP_ROUTE,)
    needs = (kinds.GATEWAY_CLASS, kinds.ENVOY_PROXY, kinds.SERVICE, *http_matches.NEEDS)
    symptoms = ("ERR_TOO_MANY_REDIRECTS", "Maximum (50) redirects followed")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One finding a parentRef, worst first."""

        def scheme_of(listener: Listener) -> str:
            gateway = gateway_api.gateway_of(listener.owner, cluster)
            if gateway is None or listener.protocol != "HTTP":
                return ""
            return "https" if aws.fed_by_tls_port(listener, gateway, cluster) else ""

        told = set()
        found = http_matches.loops(route, cluster, scheme_of)
        for loop in sorted(found, key=lambda one: one.is_shadowed):
            if loop.parent.field in told:
                continue
            told.add(loop.parent.field)
            fix = http_matches.bound_to_clear_text(route, loop.parent, cluster, scheme_of)
            is_now = _ends_tls(loop.listener, cluster)
            yield self.finding(
                loop.redirect,
                f"the NLB {'ends' if is_now else 'is to end'} TLS in front of listener "
                f"{loop.listener.name} (port {loop.listener.port}), where this redirect leads "
                "back to itself"
                + (", if an older rule with the same match did not answer" * loop.is_shadowed),
                severity=Severity.MEDIUM
                if loop.is_shadowed
                else Severity.CRITICAL
                if is_now
                else Severity.HIGH,
                because=(loop.parent.field, loop.listener.field),
                fix=fix,
                advice=""
                if fix
                else "Make two routes: the redirect with sectionName of the listener on port 80, "
                "the rest with that of the listener on port 443",
                marker=loop.parent.field.pointer,
            )


def _ends_tls(listener: Listener, cluster: Cluster) -> bool:
    """Whether it does so today, not only once its annotations arrive."""
    gateway = gateway_api.gateway_of(listener.owner, cluster)
    found = aws.balancer(gateway, cluster) if gateway is not None else None
    port = aws.port_of(found, listener) if found is not None else None
    return found is not None and port is not None and found.ends_tls(port)
