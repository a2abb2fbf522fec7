"""What is seen of the kinds that the source was asked for: what points somewhere may be none of them."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor.cluster import Cluster
from gwdoctor.model import Kind, Resource


def seen(cluster: Cluster, *wanted: Kind) -> Iterator[Resource]:
    """What is seen of these kinds; nothing of those that were not asked for."""
    return cluster.seen(*filter(cluster.is_asked, wanted))
