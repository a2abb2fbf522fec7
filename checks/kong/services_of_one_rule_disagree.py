"""KIC refuses to guess when the Services of a rule say different things."""

from collections.abc import Iterator, Sequence

from gwdoctor import (
    Change,
    Cluster,
    Confidence,
    Field,
    Finding,
    Fix,
    OutOfView,
    Probe,
    Resource,
    Severity,
    Skip,
    kinds,
)
from gwdoctor.resolve import kong, kong_annotations


class ServicesOfOneRuleDisagree(Probe):
    """Kong drops a whole rule: its Services carry different annotations.

    The Services of one rule become one Kong service, so every `konghq.com` annotation must
    have the same value on **all** of them; an absent one is a difference, and so is a key that
    Kong does not even know. The rule then answers 404 `no Route matched with those values`,
    for the stable backend as well as for the canary, and the only trace is an event on each
    of the Services.

    Not a problem for Services that stand in different rules, and for annotations that are not
    Kong's.

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationTranslationFailed \\
      | grep inconsistent
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator/ingressrules.go (3.5).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong, annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop}
    spec: {gatewayClassName: kong, listeners: [{name: http, protocol: HTTP, port: 80}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: canary, namespace: shop}
    spec:
      parentRefs: [{name: kong}]
      rules: [{backendRefs: [{name: stable, port: 443, weight: 9}, {name: next, port: 443}]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: stable, namespace: shop, annotations: {konghq.com/protocol: https}}
    spec: {ports: [{port: 443}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: next, namespace: shop}
    spec: {ports: [{port: 443}]}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata: {name: next, annotations: {konghq.com/protocol: https}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = kong.ENTRY_KINDS
    symptoms = ("no Route matched with those values", "Service has inconsistent")

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Each set of Services that shares a rule, once, however many rules it shares."""
        shared: dict[tuple[kong.Key, ...], list[Field]] = {}
        for rule, entries in kong.rules(cluster).items():
            together = tuple(sorted({entry.service for entry in entries}))
            if len(together) > 1:
                shared.setdefault(together, []).append(rule)
        for together, rules in shared.items():
            try:
                found = [cluster.get(kinds.SERVICE, *key) for key in together]
            except OutOfView as hidden:
                yield self.skip(hidden, rules[0])
                continue
            yield from self._compare([s for s in found if s is not None], rules)

    def _compare(self, together: Sequence[Resource], rules: Sequence[Field]) -> Iterator[Finding]:
        values: dict[str, set[str | None]] = {}
        for key in sorted({key for s in together for key in kong.compared_annotations(s)}):
            told = {kong.compared_annotations(service).get(key) for service in together}
            if len(told) > 1:
                values[key] = told
        if not values:
            return
        key = next(iter(values))
        first = kong.compared_annotations(together[0]).get(key)
        odd = next(s for s in together if kong.compared_annotations(s).get(key) != first)
        names = ", ".join(f"{s.namespace}/{s.name}" for s in together)
        fix = _fix(together, values)
        yield self.finding(
            odd.at("metadata", "annotations", key),
            f"Kong drops the rule of {rules[0].ref}: {', '.join(values)} "
            f"{'differs' if len(values) == 1 else 'differ'} among its Services {names}",
            root=odd,
            because=(*(s.at("metadata", "annotations", key) for s in together if s != odd), *rules),
            fix=fix,
            advice=""
            if fix
            else f"Give {', '.join(values)} one value on all Services of the rule, or take it away "
            "from all of them",
        )


def _fix(together: Sequence[Resource], values: dict[str, set[str | None]]) -> Fix | None:
    """What some Services say, on the others: unless they say two things, or one without meaning."""
    wanted = {key: [v for v in told if v is not None] for key, told in values.items()}
    if any(len(told) != 1 for told in wanted.values()) or not all(
        kong_annotations.is_known(key.removeprefix(kong_annotations.PREFIX)) for key in wanted
    ):
        return None
    changes: list[Change] = []
    for service in together:
        change: Change | None = None
        for key, (value,) in wanted.items():
            if kong.compared_annotations(service).get(key) is None:
                edit = service if change is None else change
                change = edit.changed("metadata", "annotations", key, to=value)
        if change is not None:
            changes.append(change)
    return Fix("Annotate all Services of the rule alike", tuple(changes), needs_review=True)
