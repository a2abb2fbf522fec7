"""The key pair of a CA issuer: where cert-manager looks for it, and what it must be.

Rule: cert-manager 1.21, pkg/issuer/ca/setup.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import cert_manager, certificates, status


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a CA issuer cannot sign."""

    message: str
    place: str  #: namespace and name of the Secret that is looked for
    because: tuple[Field, ...] = ()


def trouble(issuer: Resource, cluster: Cluster) -> Trouble | None:
    """What is wrong with the key pair of a CA issuer; None for others, and where nothing is.

    Raises OutOfView where the Secret cannot be seen.
    """
    name = issuer.text("spec", "ca", "secretName")
    if not name or status.says(issuer, issuer.at("status"), "Ready", "True"):
        return None
    is_cluster = issuer.ref.kind == kinds.CLUSTER_ISSUER
    namespace = cert_manager.cluster_resource_namespace(cluster) if is_cluster else issuer.namespace
    place = f"{namespace}/{name}"
    secret = cluster.get(kinds.SECRET, namespace, name)
    if secret is None:
        others = cluster.derive(_by_name).get(name, ())
        elsewhere = ", ".join(f"{other.namespace}/{name}" for other in others)
        known = f"; there is {elsewhere}" if others else ""
        return Trouble(
            f"the Secret {place} with its key pair does not exist{known}", place, tuple(others)
        )
    leaf = certificates.leaf_of(secret)
    if leaf is None or secret.text("key") not in ("matches", "unknown"):
        why = f"its private key: {secret.text('key')}" if leaf is not None else "no certificate"
        return Trouble(f"the Secret {place} holds no key pair ({why})", place, (secret,))
    if not leaf.flag("isCA") and not leaf.flag("extensionsUnread"):
        return Trouble(
            f"the certificate {certificates.common_name(leaf)} in the Secret {place} is no "
            "authority (CA:FALSE)",
            place,
            (secret,),
        )
    left = certificates.days_left(leaf, cluster.now)
    if left is not None and left.total_seconds() <= 0:
        end = certificates.date(leaf.text("notAfter"))
        return Trouble(f"the authority in the Secret {place} expired on {end}", place, (secret,))
    return None


def _by_name(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for secret in cluster[kinds.SECRET]:
        found[secret.name].append(secret)
    return found
