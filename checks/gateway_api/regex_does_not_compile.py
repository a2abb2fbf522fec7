"""A regular expression that is none."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import http_matches


class RegexDoesNotCompile(Probe):
    """This rule is dropped: its regular expression does not compile.

    `type: RegularExpression` takes a regular expression in the flavour of the controller (RE2 in
    Envoy), not a shell pattern: `*.html` repeats nothing. The API server does not compile it; the
    controller drops the rule and sets PartiallyInvalid, or refuses the route.

    Not a problem for what only some flavours know, such as look-ahead: that is not judged.

    ```sh
    kubectl get httproute web -n app -o jsonpath='{.status.parents[*].conditions}'
    ```

    Source: gateway-api 1.6, apis/v1/httproute_types.go; Envoy Gateway 1.9 (Dropped Rule).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules:
      - matches: [{path: {type: RegularExpression, value: "*.html"}}]
        backendRefs: [{name: web, port: 8080}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
    symptoms = ("404 Not Found", "PartiallyInvalid")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Expressions that repeat nothing or do not close what they open."""
        for rule in route.each("spec", "rules"):
            for match in http_matches.matches(rule):
                for spot in _expressions(match):
                    problem = http_matches.regex_problem(spot.text())
                    if problem:
                        yield self.finding(
                            spot,
                            f'"{spot.text()}" is no regular expression: {problem}',
                            root=route,
                            advice="Write it as a regular expression (.*\\.html for *.html)",
                        )


def _expressions(match: Field) -> Iterator[Field]:
    tests = [match.at("path"), *match.each("headers"), *match.each("queryParams")]
    for test in tests:
        if test.text("type") == "RegularExpression":
            yield test.at("value")
    method = match.at("method")
    if method.text("type") == "RegularExpression":
        for part in ("service", "method"):
            if method.has(part):
                yield method.at(part)
