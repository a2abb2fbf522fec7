"""From a source to a Cluster: read what the checks declare, then what the objects point to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gwdoctor.cluster import Cluster
from gwdoctor.model import Kind, Target
from gwdoctor.probe import Probe
from gwdoctor.resolve import follow
from gwdoctor.source.batch import Batch, Source, Want

#: A route leads to a Gateway, a Gateway to its class and Secret: three steps reach everything.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """The cluster as the checks see it, and the batch that it was made from (for a snapshot)."""

    cluster: Cluster
    batch: Batch

    @property
    def target(self) -> Target:
        """What was read."""
        return self.batch.target or Target()

    @property
    def incomplete(self) -> bool:
        """Whether the deadline ended the reading."""
        return self.batch.incomplete


def gather(
    source: Source,
    probes: Collection[type[Probe]],
    *,
    now: datetime | None = None,
    also: Collection[Kind] = (),
) -> Picture:
    """Everything that these probes declare, and what it points to.

    `now` is the clock of the checks, by default the one of the source. `also` is what somebody
    else wants to look at.
    """
    asked = frozenset((*also, *(kind for probe in probes for kind in probe.reads())))
    told: set[Want] = set()
    batch = source.list(asked)
    cluster = cluster_of(batch, asked, now=now)
    for _ in range(ROUNDS):
        wants = set(follow.wants(cluster)) - told
        if not wants:
            break
        told |= wants
        more = source.fetch(sorted(wants))
        batch = batch.plus(more)
        cluster = cluster.after(more.resources, asked_again={want.kind for want in wants})
        cluster.learn(batch.gaps, batch.absent, batch.missing_kinds, batch.versions, batch.listed)
    return Picture(cluster, batch)


def cluster_of(batch: Batch, asked: frozenset[Kind], *, now: datetime | None = None) -> Cluster:
    """A batch, indexed."""
    return Cluster(
        batch.resources,
        gaps=batch.gaps,
        asked=asked,
        namespaces=batch.namespaces,
        absent=batch.absent,
        missing_kinds=batch.missing_kinds,
        versions=batch.versions,
        by_reference=batch.by_reference,
        listed=batch.listed,
        now=now or batch.now,
    )
