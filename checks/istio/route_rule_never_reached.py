"""A rule of a VirtualService that stands behind one that takes everything."""

from collections.abc import Iterator, Sequence

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import http_matches


class RouteRuleNeverReached(Probe):
    """A rule of a VirtualService is never used: an earlier one takes all.

    The rules of a section are tried in order, and the first that matches wins. istiod stops at
    a rule without `match`, or with the prefix `/` and nothing else: what stands behind it is
    not even sent to the proxy. A rule all of whose matches stood before never matches either.

    Not a problem for the last rule, for the same path with other headers, methods, ports,
    Gateways or source labels, and between sections.

    Check it yourself: the routes that arrive.

    ```sh
    istioctl proxy-config route -n istio-system deploy/istio-ingressgateway -o json
    ```

    Source: istio 1.32 pilot/pkg/networking/core/route/route.go (TranslateRoutes); IST0130.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: shop}
    spec:
      hosts: [shop.example.com]
      gateways: [public]
      http:
      - route: [{destination: {host: shop}}]
      - match: [{uri: {prefix: /api}}]
        route: [{destination: {host: api}}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
    ```

    ```yaml fixed
    spec:
      http:
      - match: [{uri: {prefix: /api}}]
        route: [{destination: {host: api}}]
      - route: [{destination: {host: shop}}]
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    symptoms = ("the wrong site answers",)

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The first rule behind one that takes all, and every rule that says nothing new."""
        for section in ("http", "tls", "tcp"):
            seen: dict[str, Field] = {}
            rules = route.each("spec", section)
            if len(rules) < 2:
                continue
            for number, rule in enumerate(rules):
                matches = _matches(rule)
                if matches and all(match in seen for match in matches):
                    yield self._repeated(route, rule, seen[matches[0]])
                    continue
                if _takes_all(matches) and rules[number + 1 :]:
                    yield self._behind(route, section, rule, rules[number + 1 :])
                    break
                seen.update((match, rule) for match in matches if match not in seen)

    def _repeated(self, route: Resource, rule: Field, first: Field) -> Finding:
        return self.finding(
            rule,
            "every match of this rule stands in an earlier rule already",
            root=route,
            because=(first,),
            advice="Delete this rule, or make its match narrower and move it before the other",
        )

    def _behind(
        self, route: Resource, section: str, taker: Field, behind: Sequence[Field]
    ) -> Finding:
        fix = None
        if not any(_takes_all(_matches(rule)) for rule in behind):
            entries = route.manifest()["spec"][section]
            position = int(taker.path[-1])
            moved = [*entries[:position], *entries[position + 1 :], entries[position]]
            change = route.changed("spec", section, to=moved)
            fix = Fix(
                "Move the rule that takes everything to the end", (change,), needs_review=True
            )
        count = len(behind)
        return self.finding(
            behind[0],
            f"an earlier rule takes every request, so that {count} "
            f"{'rule is' if count == 1 else 'rules are'} never reached",
            root=route,
            because=(taker, *behind[1:]),
            fix=fix,
            advice="" if fix else "Keep one rule that takes everything, at the end",
        )


def _matches(rule: Field) -> list[str]:
    """All that each match tests, its name left out, as text that is equal where the tests are."""
    return [
        http_matches.canonical({key: test.value for key, test in match.entries() if key != "name"})
        for match in rule.each("match")
    ]


_EVERYTHING = http_matches.canonical({"uri": {"prefix": "/"}})


def _takes_all(matches: list[str]) -> bool:
    """Without a match, or with one that is the prefix `/` and nothing else."""
    return not matches or _EVERYTHING in matches
