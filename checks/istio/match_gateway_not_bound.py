"""A match for a Gateway that the VirtualService is not bound to."""

from collections.abc import Iterator

from gwdoctor import (
    Cluster,
    Confidence,
    Finding,
    Fix,
    OutOfView,
    Probe,
    Resource,
    Severity,
    kinds,
)
from gwdoctor.resolve import istio_virtual_services as virtual_services


class MatchGatewayNotBound(Probe):
    """A rule of a VirtualService never matches: its Gateway is not bound.

    `gateways` in a match narrows `spec.gateways`; it adds nothing. A Gateway, or `mesh`, that
    stands in a match alone is never asked, and requests fall to the next rule or to 404. A
    VirtualService without `spec.gateways` is bound to `mesh` only.

    Not a problem where the match names it in another spelling (`gw`, `namespace/gw`).

    ```sh
    kubectl get virtualservice -n NAMESPACE NAME -o jsonpath='{.spec.gateways}'
    ```

    Source: istio 1.32 pilot/pkg/networking/core/route; istio/istio issue 31916.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: shop}
    spec:
      hosts: [shop.example.com]
      gateways: [public]
      http:
      - match: [{gateways: [internal], uri: {prefix: /admin}}]
        route: [{destination: {host: admin}}]
      - route: [{destination: {host: shop}}]
    ---
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: internal, namespace: shop}
    spec:
      selector: {istio: internal}
      servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
    ```

    ```yaml fixed
    spec: {gateways: [public, internal]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.ISTIO_GATEWAY,)
    symptoms = (
        "404 Not Found",
        "404 NR route_not_found",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each match all of whose Gateways are not bound."""
        for section in ("http", "tls", "tcp"):
            for rule in route.each("spec", section):
                for match in rule.each("match"):
                    named = match.texts("gateways")
                    if not named:
                        continue
                    names = {virtual_services.gateway_name(n, route.namespace) for n in named}
                    references = virtual_services.gateway_refs(route)
                    if names & ({reference.name for reference in references} or {None}):
                        continue
                    current = list(route.texts("spec", "gateways")) or [virtual_services.MESH]
                    fix = None
                    if all(name is None or _is_there(name, cluster) for name in names):
                        change = route.changed("spec", "gateways", to=[*current, *named])
                        title = f"Bind the VirtualService to {', '.join(named)} too"
                        fix = Fix(title, (change,), needs_review=True)
                    yield self.finding(
                        match.at("gateways"),
                        f"this match is for {', '.join(named)}, and the VirtualService is bound "
                        f"to {', '.join(current)} only",
                        root=route,
                        because=(route.at("spec", "gateways"),),
                        fix=fix,
                        advice=""
                        if fix
                        else f"Name a Gateway that exists here and in spec.gateways ({', '.join(named)} "
                        "could not be found), or take gateways out of the match",
                    )


def _is_there(name: virtual_services.Name, cluster: Cluster) -> bool:
    """Whether this Gateway is seen: binding to one that is not there leads nowhere."""
    try:
        return cluster.get(kinds.ISTIO_GATEWAY, *name) is not None
    except OutOfView:
        return False
