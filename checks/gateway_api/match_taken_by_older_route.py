"""Two rules for the same requests."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import Cluster, Finding, OutOfView, Probe, Severity, Skip, kinds
from gwdoctor.resolve import http_matches
from gwdoctor.resolve.http_matches import Place, Rule


class MatchTakenByOlderRoute(Probe):
    """This rule gets no requests: an older one takes the same.

    Of rules with equal host name, path, method, headers and query on one listener, the one of
    the oldest route gets all requests, then the first by namespace and name, then the first in
    the route. Backends are not merged and weights do not count across routes. Recreating the
    older route turns it round.

    Not a problem where matches differ in anything, or on different listeners.

    ```sh
    kubectl get httproutes -A --sort-by=.metadata.creationTimestamp
    ```

    Source: gateway-api 1.6, apis/v1/httproute_types.go (HTTPRouteRule.matches, precedence).

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
    kind: HTTPRoute
    metadata: {name: old, namespace: infra, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec:
      parentRefs: [{name: edge}]
      hostnames: [www.example.com]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: new, namespace: infra, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec:
      parentRefs: [{name: edge}]
      hostnames: [www.example.com]
      rules: [{backendRefs: [{name: web-v2, port: 8080}]}]
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.HTTP_ROUTE,)
    needs = http_matches.NEEDS
    symptoms = ("the wrong site answers",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """One finding for each rule all of whose requests go elsewhere."""
        try:
            index = http_matches.rules_by_match(cluster)
        except OutOfView as hidden:
            yield self.skip(hidden)
            return
        wins: dict[Rule, set[Place]] = defaultdict(set)
        loses: dict[Rule, dict[Rule, None]] = defaultdict(dict)
        for place, rules in index.items():
            wins[rules[0]].add(place)
            for loser in rules[1:]:
                if loser.field != rules[0].field:
                    loses[loser][rules[0]] = None
        served = {rule.field for rule in wins}
        told = set()
        for loser, winners in loses.items():
            if loser.field in served or loser.field in told or _same_backends(loser, winners):
                continue
            if _redirects(loser):
                continue  # gateway-api/redirect-loop judges those
            told.add(loser.field)
            winner = next(iter(winners))
            path = loser.match.text("path", "value") or "/"
            yield self.finding(
                loser.field,
                f"requests for {path} all go to HTTPRoute {winner.route.namespace}/"
                f"{winner.route.name}, which comes first",
                root=loser.route,
                because=tuple(rule.field for rule in winners),
                advice="Put the backends into one rule with weights, or tell the matches apart",
            )


def _same_backends(loser: Rule, winners: dict[Rule, None]) -> bool:
    own = loser.field.at("backendRefs").value
    return all(winner.field.at("backendRefs").value == own for winner in winners)


def _redirects(rule: Rule) -> bool:
    return any(step.has("requestRedirect") for step in rule.field.each("filters"))
