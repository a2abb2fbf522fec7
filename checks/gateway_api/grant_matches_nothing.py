"""A ReferenceGrant that can never permit anything."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve.gateway_api import GROUP, ROUTES

_ROUTES = tuple(kind.name for kind in ROUTES)


class GrantMatchesNothing(Probe):
    """This ReferenceGrant permits nothing, whatever it is meant for.

    Group, kind and namespace are compared as text. The core group is written `""`: `core` and
    `v1` pass the API server and never match. The grant belongs into the namespace of the
    *target*; `from` its own namespace is never asked. Gateways refer to Secrets and
    ConfigMaps, routes to Services: a grant from the one kind to the targets of the other is idle.

    Not a problem for kinds of other groups, whose references only their controllers know.

    ```sh
    kubectl get referencegrants -A -o yaml | grep -E 'group: (core|v1)'
    ```

    Source: gateway-api 1.6, apis/v1/referencegrant_types.go; `group: core` tried on a
    kube-apiserver 1.36.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: ReferenceGrant
    metadata: {name: from-app, namespace: backend}
    spec:
      from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: app}]
      to: [{group: core, kind: Service}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: ReferenceGrant
    metadata: {name: from-app, namespace: backend}
    spec:
      to: [{group: "", kind: Service}]
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.REFERENCE_GRANT,)

    def check(self, grant: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Entries that never match, then grants whose two sides never meet."""
        sources, targets = list(grant.each("spec", "from")), list(grant.each("spec", "to"))
        wrong = [*_not_a_group(sources), *_not_a_group(targets)]
        for group in wrong:
            right = "" if group.text() in ("core", "v1") else group.text().partition("/")[0]
            change = grant.changed(*group.path, to=right)
            yield self.finding(
                group,
                f'group "{group.text()}" never matches; this group is written "{right}"',
                root=grant,
                fix=Fix("Write the group as it is compared", (change,), needs_review=True),
            )
        for source in sources:
            if source.text("namespace") == grant.namespace:
                yield self.finding(
                    source.at("namespace"),
                    f"from namespace {grant.namespace} is the grant's own, where no grant is needed",
                    root=grant,
                    severity=Severity.LOW,
                    advice="Put the grant into the namespace of the target and name the one of the "
                    "referrer here",
                )
        if not wrong and sources and targets and _never_meet(sources, targets):
            referrers = ", ".join(sorted({source.text("kind") for source in sources}))
            wanted = ", ".join(sorted({target.text("kind") for target in targets}))
            yield self.finding(
                grant.at("spec", "from"),
                f"{referrers} never refers to a {wanted}",
                root=grant,
                advice="Name the kind that holds the reference: the route for a Service, the "
                "Gateway or ListenerSet for a Secret",
            )


def _not_a_group(entries: list[Field]) -> Iterator[Field]:
    for entry in entries:
        group = entry.text("group")
        if group in ("core", "v1") or "/" in group:
            yield entry.at("group")


def _never_meet(sources: list[Field], targets: list[Field]) -> bool:
    if any(source.text("group") != GROUP for source in sources):
        return False
    if any(target.text("group") for target in targets):
        return False
    referrers = {source.text("kind") for source in sources}
    wanted = {target.text("kind") for target in targets}
    if referrers <= {"Gateway", "ListenerSet"}:
        return wanted == {"Service"}
    return referrers <= set(_ROUTES) and wanted <= {"Secret", "ConfigMap"}
