"""ReferenceGrant: who may point into another namespace."""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Kind


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
    for grant in cluster.within(kinds.REFERENCE_GRANT, to_namespace):
        from_fits = any(
            source.text("group") == referrer.group
            and source.text("kind") == referrer.name
            and source.text("namespace") == from_namespace
            for source in grant.each("spec", "from")
        )
        if from_fits and any(
            to.text("group") == target.group
            and to.text("kind") == target.name
            and (not to.has("name") or to.text("name") == name)
            for to in grant.each("spec", "to")
        ):
            return True
    return False
