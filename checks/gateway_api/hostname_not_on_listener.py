"""Host names of a route that no listener has."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api, hosts
from gwdoctor.resolve.gateway_api import Listener


class HostnameNotOnListener(Probe):
    """Requests for this name get 404: no listener of the route has it.

    A route serves the intersection of its host names with those of its listeners. What lies
    outside is left out, and as long as one name is left no condition tells. `*.example.com`
    takes `a.b.example.com` but not `example.com` itself.

    Not a problem where another parent of the route serves the name, or where the controller
    accepted the route and all its names fit.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.listeners[*].hostname}'
    ```

    Source: gateway-api 1.6, apis/v1/shared_types.go (Hostname) and conformance
    httproute-listener-hostname-matching (NoMatchingListenerHostname).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP, hostname: "*.example.com"}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      hostnames: [www.example.com, example.com]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = gateway_api.PARENT_NEEDS
    symptoms = (
        "404 Not Found",
        "NoMatchingListenerHostname",
        "404 NR route_not_found",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Names that no listener serves which otherwise takes the route."""
        open_listeners: list[Listener] = []
        for parent in gateway_api.parents(route, cluster):
            if gateway_api.refusal(parent, cluster) == "NoMatchingListenerHostname":
                if gateway_api.accepted(parent):
                    return  # the controller sees it otherwise
            elif not parent.attached:
                return  # not attached for another reason, which its own check tells
            open_listeners += [
                one
                for one in parent.selected
                if gateway_api.takes_kind(one, route)
                and gateway_api.takes_namespace(one, route.namespace, cluster)
            ]
        if not open_listeners:
            return
        names = list(route.each("spec", "hostnames"))
        lost = [
            name
            for name in names
            if name.text()
            and all(hosts.intersection(one.hostname, name.text()) is None for one in open_listeners)
        ]
        if not lost:
            return
        there = ", ".join(f"{one.name} ({one.hostname})" for one in open_listeners)
        yield self.finding(
            lost[0],
            f"{', '.join(name.text() for name in lost)} lies outside of listener {there}",
            root=route,
            severity=Severity.CRITICAL if len(lost) == len(names) else Severity.HIGH,
            because=(*lost[1:], *(one.field.at("hostname") for one in open_listeners)),
            advice="Add a listener for the name (a wildcard does not cover the name it stands "
            "under), or take the name out of the route",
        )
