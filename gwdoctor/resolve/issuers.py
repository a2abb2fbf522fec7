"""Who waits for which issuer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Kind, Resource
from gwdoctor.resolve import cert_manager


def customers(cluster: Cluster) -> Mapping[tuple[Kind, str, str], Sequence[Resource]]:
    """The Certificates of each issuer, by its kind, namespace (none: ClusterIssuer) and name."""
    return cluster.derive(_customers)


def _customers(cluster: Cluster) -> Mapping[tuple[Kind, str, str], Sequence[Resource]]:
    found: dict[tuple[Kind, str, str], list[Resource]] = defaultdict(list)
    for certificate in cluster[kinds.CERTIFICATE]:
        reference = cert_manager.issuer_of(certificate)
        if reference is not None:
            found[reference.kind, reference.namespace, reference.name].append(certificate)
    return found
