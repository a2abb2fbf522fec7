"""A reference into another namespace that nobody there permits."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, grants, references
from gwdoctor.resolve.references import Reference


class ReferenceNotGranted(Probe):
    """Requests fail: no ReferenceGrant permits this reference.

    A reference into another namespace needs a ReferenceGrant *there*, whose `from` names group,
    kind and namespace of the referrer and whose `to` names group and kind of the target (and
    its name, or none). Every word has to fit: `from.kind` is the kind of the route, or Gateway
    for certificates; a grant for the Gateway does not hold for its ListenerSets.

    Not a problem within one namespace, or for parentRefs: those are up to allowedRoutes.

    ```sh
    kubectl get referencegrants -n TARGET_NAMESPACE -o yaml
    ```

    Source: gateway-api 1.6, apis/v1/referencegrant_types.go and conformance (RefNotPermitted).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: api, namespace: backend, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: ReferenceGrant
    metadata: {name: httproute-from-app-to-service-api, namespace: backend}
    spec:
      from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: app}]
      to: [{group: "", kind: Service, name: api}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = references.REFERRERS
    needs = (kinds.REFERENCE_GRANT,)
    symptoms = (
        "500 Internal Server Error",
        "RefNotPermitted",
        "no existing backendRef provided",
    )

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One finding for each target that is not permitted."""
        told = set()
        for reference in references.references(owner):
            if not reference.crosses or not reference.name:
                continue
            target = (reference.kind, reference.namespace, reference.name)
            if target in told or grants.permits(cluster, owner.ref.kind, owner.namespace, *target):
                continue
            told.add(target)
            if _controller_resolves(owner):
                continue
            near = tuple(_near_misses(reference, cluster))
            why = f": {near[0][1]}" if near else ""
            yield self.finding(
                reference.field,
                f"no ReferenceGrant in namespace {reference.namespace} permits "
                f"{owner.ref.kind.name} of namespace {owner.namespace} to use "
                f"{reference.kind.name} {reference.name}{why}",
                root=owner,
                marker=reference.namespace,
                because=tuple(field for field, _ in near),
                fix=Fix("Permit this one", (_grant(reference, cluster),), needs_review=True),
            )


def _controller_resolves(owner: Resource) -> bool:
    """Whether the controller says, of the route as it is, that all references are fine."""
    if owner.ref.kind not in gateway_api.ROUTES:
        return False
    said = [
        gateway_api.parent_condition(owner, reference, "ResolvedRefs")
        for reference in owner.each("spec", "parentRefs")
    ]
    return bool(said) and all(c is not None and c.text("status") == "True" for c in said)


#: How many grants of a namespace are looked through for one that was meant: it is only a hint.
_LOOKED_AT = 50


def _near_misses(reference: Reference, cluster: Cluster) -> Iterator[tuple[Field, str]]:
    """Entries of grants there of which one word does not fit, and which."""
    owner = reference.owner.ref
    wanted_from = {"group": owner.kind.group, "kind": owner.kind.name, "namespace": owner.namespace}
    wanted_to = {"group": reference.kind.group, "kind": reference.kind.name}
    for grant in cluster.within(kinds.REFERENCE_GRANT, reference.namespace)[:_LOOKED_AT]:
        sources = [
            (entry, [key for key, value in wanted_from.items() if entry.text(key) != value])
            for entry in grant.each("spec", "from")
        ]
        targets = [
            (entry, [key for key, value in wanted_to.items() if entry.text(key) != value])
            for entry in grant.each("spec", "to")
        ]
        for entry, wrong in targets:
            if entry.text("name") not in ("", reference.name):
                wrong.append("name")
        pairs = [
            [(s, f"from.{key}", key) for key in s_wrong]
            + [(t, f"to.{key}", key) for key in t_wrong]
            for s, s_wrong in sources
            for t, t_wrong in targets
        ]
        closest = min(pairs, key=len, default=[])
        if len(closest) == 1:
            entry, name, key = closest[0]
            yield entry.at(key), f'in {grant.name} {name} is "{entry.text(key)}"'


def _grant(reference: Reference, cluster: Cluster) -> Change:
    owner, kind = reference.owner, reference.kind
    name = f"{owner.ref.kind.name}-from-{owner.namespace}-to-{kind.name}-{reference.name}".lower()
    return Change.created(
        {
            "apiVersion": cluster.api_version(kinds.REFERENCE_GRANT),
            "kind": "ReferenceGrant",
            "metadata": {"name": name[:253], "namespace": reference.namespace},
            "spec": {
                "from": [
                    {
                        "group": owner.ref.kind.group,
                        "kind": owner.ref.kind.name,
                        "namespace": owner.namespace,
                    }
                ],
                "to": [{"group": kind.group, "kind": kind.name, "name": reference.name}],
            },
        }
    )
