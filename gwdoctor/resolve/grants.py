"""ReferenceGrant: who may point into another namespace."""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Kind

_From = tuple[str, str, str]
_To = tuple[str, str, str | None]


def permits(
    cluster: Cluster,
    referrer: Kind,
    from_namespace: str,
    target: Kind,
    to_namespace: str,
    name: str,
) -> bool:
    """Whether an object of kind `referrer` in one namespace may name this object in another.

    All parts are compared as strings: `group: core` passes admission and never matches; kind and
    namespace know no wildcard; `to.name` may be left out. `from` and `to` combine freely within
    one grant. Raises OutOfView where the grants of the target namespace cannot be seen.
    Source: gateway-api apis/v1/referencegrant_types.go and its conformance tests.
    """
    if from_namespace == to_namespace:
        return True
    permitted = cluster.derive(_permitted, to_namespace)
    source, to = (referrer.group, referrer.name, from_namespace), (target.group, target.name)
    return not permitted.isdisjoint({(source, (*to, None)), (source, (*to, name))})


def _permitted(cluster: Cluster, to_namespace: str) -> frozenset[tuple[_From, _To]]:
    """What the grants of a namespace permit: each `from` with each `to` of the same grant."""
    return frozenset(
        (
            (source.text("group"), source.text("kind"), source.text("namespace")),
            (to.text("group"), to.text("kind"), to.text("name") if to.has("name") else None),
        )
        for grant in cluster.within(kinds.REFERENCE_GRANT, to_namespace)
        for source in grant.each("spec", "from")
        for to in grant.each("spec", "to")
    )
