"""A route that belongs to nothing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api


class RouteWithoutParent(Probe):
    """Nobody serves this route: it names no Gateway.

    `parentRefs` may be left out, and the API server says nothing. Unlike an Ingress, a route is
    never picked up by a default class.

    Not a problem while a route is a draft, or where a controller of its own kind adds the parent.

    ```sh
    kubectl get httproutes -A -o json | jq -r '.items[] | select(.spec.parentRefs == null)
      | .metadata.namespace + "/" + .metadata.name'
    ```

    Source: gateway-api 1.6, apis/v1/shared_types.go (CommonRouteSpec).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = gateway_api.ROUTES
    symptoms = (
        "404 Not Found",
        "404 NR route_not_found",
        "no Route matched with those values",
    )
    proof = ".items[] | select((.spec.parentRefs // []) == []) | .metadata.name"

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """No parentRefs at all."""
        if not any(route.each("spec", "parentRefs")):
            yield self.finding(
                route.at("spec", "parentRefs"),
                "the route has no parentRefs",
                root=route,
                advice="Name the Gateway (and with sectionName its listener) in spec.parentRefs",
            )
