"""A parentRef that takes its group from the default."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api


class ParentKindUnknown(Probe):
    """Nobody serves this route: its parent is of a kind that does not exist.

    `group` of a parentRef defaults to `gateway.networking.k8s.io`, whatever `kind` says. So
    `kind: Service` alone means a Service of that group, which nothing is: a mesh needs
    `group: ""` beside it. The API server admits it.

    Not a problem for kinds of other groups that say so.

    ```sh
    kubectl get httproute web -n app -o jsonpath='{.spec.parentRefs}{.status.parents}'
    ```

    Source: gateway-api 1.6, apis/v1/shared_types.go (ParentReference).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{kind: Service, name: web, port: 8080}]
      rules: [{backendRefs: [{name: web-v2, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{group: "", kind: Service, name: web, port: 8080}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = gateway_api.ROUTES
    symptoms = (
        "404 Not Found",
        "404 NR route_not_found",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Kinds that the group of Gateway API does not have."""
        for reference in route.each("spec", "parentRefs"):
            kind = reference.text("kind") or "Gateway"
            group = reference.text("group") if reference.has("group") else gateway_api.GROUP
            if group != gateway_api.GROUP or kind in ("Gateway", "ListenerSet"):
                continue
            fix = None
            if kind == "Service":
                change = route.changed(*reference.path, "group", to="")
                fix = Fix("Mean the core group", (change,))
            yield self.finding(
                reference.at("kind"),
                f"there is no kind {kind} in group {gateway_api.GROUP}",
                root=route,
                fix=fix,
                advice="" if fix else "Name a Gateway or a ListenerSet",
            )
