"""What every source gives: batches of resources, and what could not be had of them.

A source is asked twice: `list` for whole kinds, then `fetch`, a few times, for what the objects
read so far point to (`gwdoctor.resolve.follow` says what). Files and snapshots hold all they
have from the start and answer `fetch` with an empty batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from gwdoctor.model import Gap, Kind, Origin, Ref, Resource, Target


class NoCluster(Exception):
    """There is no cluster to read: nothing answers, nobody may log in, no context says where."""


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """Something that an object points to: one by its name, or all that carry labels.

    Without name and labels it is every object of the kind in the namespace. An empty namespace
    stands for all of them (and for kinds that have none). `labels` is a selector as kubectl
    takes it: `app in (istiod, kong)`.
    """

    kind: Kind
    namespace: str = ""
    name: str = ""
    labels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Resources, and how far their absence means anything. Told as `Cluster` takes it."""

    resources: tuple[Resource, ...] = ()
    gaps: tuple[Gap, ...] = ()
    absent: frozenset[Ref] = frozenset()  #: asked for by name, and not there
    missing_kinds: frozenset[Kind] = frozenset()  #: the server does not know them
    versions: Mapping[Kind, str] = field(default_factory=dict)  #: in which each kind was read
    #: kinds of which only some objects were read (those of one type, those that are referred to)
    by_reference: frozenset[Kind] = frozenset()
    #: (kind, namespace) read whole although the namespace is none of `namespaces`
    listed: frozenset[tuple[Kind, str]] = frozenset()
    namespaces: frozenset[str] | None = None  #: the only ones that were read; None: all
    target: Target | None = None
    now: datetime | None = None  #: when it was read; None: just now
    incomplete: bool = False  #: the deadline came first
    origins: Mapping[Ref, Origin] = field(default_factory=dict)  #: of objects out of files

    def plus(self, later: Batch) -> Batch:
        """This batch and what a later `fetch` added to it."""
        return replace(
            self,
            resources=self.resources + later.resources,
            gaps=self.gaps + later.gaps,
            absent=self.absent | later.absent,
            missing_kinds=self.missing_kinds | later.missing_kinds,
            versions={**self.versions, **later.versions},
            listed=self.listed | later.listed,
            incomplete=self.incomplete or later.incomplete,
        )


class Source(Protocol):
    """Where resources come from."""

    def list(self, kinds: Iterable[Kind]) -> Batch:
        """All there is of these kinds, within the namespaces that the source was made for."""
        ...

    def fetch(self, wants: Iterable[Want]) -> Batch:
        """These, where they were not read yet."""
        ...
