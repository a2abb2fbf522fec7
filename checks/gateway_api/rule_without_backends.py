"""A rule that leads nowhere."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api


class RuleWithoutBackends(Probe):
    """Requests get 500: this rule has no backend.

    A rule without `backendRefs` that does not redirect answers 500; a route without `rules` gets
    one such rule for every path. A RequestMirror copies requests and serves none. No condition
    tells.

    Not a problem for a rule that redirects, or whose ExtensionRef answers by itself.

    ```sh
    curl -s -o /dev/null -w '%{http_code}\\n' http://HOST/
    ```

    Source: gateway-api 1.6, apis/v1/httproute_types.go (HTTPRouteRule.backendRefs) and
    conformance.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules:
      - matches: [{path: {type: PathPrefix, value: /}}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
    symptoms = (
        "500 Internal Server Error",
        "no existing backendRef provided",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Rules without backends and without anything else that answers; all weights 0."""
        rules = list(route.each("spec", "rules"))
        if not rules:
            yield self.finding(
                route.at("spec", "rules"),
                "the route has no rules: every path is answered 500",
                root=route,
                advice="Give it a rule with backendRefs, or a redirect",
            )
        for rule in rules:
            if _answers(rule):
                continue
            path = rule.text("matches", 0, "path", "value") or "/"
            if not any(rule.each("backendRefs")):
                yield self.finding(
                    rule,
                    f"the rule for {path} has neither backendRefs nor a redirect",
                    root=route,
                    advice="Name a backend, or redirect",
                )
            elif all(backend.weight == 0 for backend in _backends(route, rule)):
                yield self.finding(
                    rule.at("backendRefs"),
                    f"all backends of the rule for {path} have weight 0",
                    root=route,
                    advice="Give one backend a weight above 0; a weight of 0 takes all requests "
                    "from it, and with no other left they are answered 500",
                )


def _backends(route: Resource, rule: Field) -> list[gateway_api.BackendRef]:
    return [b for b in gateway_api.backend_refs(route) if b.rule == rule and not b.is_mirror]


def _answers(rule: Field) -> bool:
    return any(
        step.text("type") in ("RequestRedirect", "ExtensionRef") for step in rule.each("filters")
    )
