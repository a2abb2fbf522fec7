"""An indexed, read-only picture of a cluster, and of what could not be seen of it."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from gwdoctor import kinds
from gwdoctor.model import Field, Gap, Kind, Ref, Resource

T = TypeVar("T")
_Spot = tuple[Kind, str, str]  #: kind, namespace, name


_BY_REFERENCE = "only those that something points to were read"


class OutOfView(LookupError):
    """Asked for something that this picture does not show: not the same as absent."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(str(gap))
        self.gap = gap


class NotDeclared(LookupError):
    """A check read a kind that nobody asked the source for: a bug of the check."""


class Cluster:
    """What `gwdoctor.source` read, indexed once.

    Args:
        resources: everything that was read.
        gaps: what could not be read.
        asked: the kinds that were asked for; None when everything there is was read (files).
        namespaces: the namespaces that were listed; None when all were.
        absent: single objects that were asked for by name and are not there.
        missing_kinds: kinds whose CRD is not installed: they have no objects, for certain.
        versions: the version the server serves of a kind, where it is not the first choice.
        by_reference: kinds of which only some objects were read (those of one type, those that
            something points to): one that was not read may exist all the same.
        listed: (kind, namespace) that were read whole although `namespaces` or `by_reference`
            would say that they were not.
        now: the clock of the checks.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        *,
        gaps: Iterable[Gap] = (),
        asked: Iterable[Kind] | None = None,
        namespaces: Iterable[str] | None = None,
        absent: Iterable[Ref] = (),
        missing_kinds: Iterable[Kind] = (),
        versions: Mapping[Kind, str] | None = None,
        by_reference: Iterable[Kind] = (),
        listed: Iterable[tuple[Kind, str]] = (),
        now: datetime | None = None,
    ) -> None:
        self.now = now or datetime.now(UTC)
        self.asked = None if asked is None else frozenset(asked)
        self.namespaces = None if namespaces is None else frozenset(namespaces)
        self._by_reference = frozenset(by_reference)
        self.learn(gaps, absent, missing_kinds, versions or {}, listed)
        keyed = [(_key(resource.ref), resource) for resource in resources]
        keyed.sort(key=itemgetter(0))
        self._by_ref = dict(keyed)
        self._by_kind: dict[Kind, list[Resource]] = defaultdict(list)
        self._by_namespace: dict[tuple[Kind, str], list[Resource]] = defaultdict(list)
        self._list(self._by_ref)
        self._derived: dict[Any, tuple[Any, frozenset[Kind]]] = {}
        self._kinds_read: dict[frozenset[Kind], frozenset[Kind]] = {}  #: one copy of each
        self._reading: list[set[Kind]] = []  #: of each join under way, the kinds that it asked for
        self._labels: dict[tuple[Kind, str | None], _LabelIndex] = {}

    def after(
        self,
        put: Iterable[Resource],
        gone: Iterable[Ref] = (),
        *,
        asked_again: Iterable[Kind] = (),
    ) -> Cluster:
        """This picture with these resources in it, and those taken away: what a change would make.

        What was not touched is shared, and the joins that do not read it: it costs little next to
        reading and indexing anew. `asked_again` are kinds of which more may be known to be absent:
        then it is to `learn` so.
        """
        new, lost = {_key(r.ref): r for r in put}, frozenset(map(_key, gone))
        touched = {*(kind for kind, _, _ in (*new, *lost)), *asked_again}
        by_ref = {key: resource for key, resource in self._by_ref.items() if key not in lost}
        is_more = any(key not in by_ref for key in new)
        by_ref |= new
        other = copy.copy(self)
        other._by_ref = {key: by_ref[key] for key in sorted(by_ref)} if is_more else by_ref
        other._absent = (self._absent | lost) - new.keys()
        other.missing_kinds = self.missing_kinds - {kind for kind, _, _ in new}
        other._by_kind = defaultdict(
            list, {kind: held for kind, held in self._by_kind.items() if kind not in touched}
        )
        other._by_namespace = defaultdict(
            list,
            {spot: held for spot, held in self._by_namespace.items() if spot[0] not in touched},
        )
        other._list({spot: r for spot, r in other._by_ref.items() if spot[0] in touched})
        other._labels, other._derived, other._reading = {}, {}, []
        other.take_over(self, touched)
        return other

    def learn(
        self,
        gaps: Iterable[Gap],
        absent: Iterable[Ref],
        missing_kinds: Iterable[Kind],
        versions: Mapping[Kind, str],
        listed: Iterable[tuple[Kind, str]],
    ) -> None:
        """How far the absence of something means anything, in place of what was known of it: as in
        `__init__`."""
        self.gaps = tuple(gaps)
        self.missing_kinds = frozenset(missing_kinds)
        self._versions = dict(versions)
        self._absent = frozenset(map(_key, absent))
        self._listed = frozenset(listed)
        self._gap_of: dict[tuple[Kind, str, str], Gap] = {}
        for gap in self.gaps:
            self._gap_of.setdefault((gap.kind, gap.namespace, gap.name), gap)

    def _list(self, ordered: Mapping[_Spot, Resource]) -> None:
        """Enter these, which stand in the order of kind and namespace, in the lists of both."""
        for spot, of_spot in groupby(ordered.items(), key=lambda entry: entry[0][:2]):
            held = [resource for _, resource in of_spot]
            self._by_kind[spot[0]] += held
            self._by_namespace[spot] = held

    def take_over(self, earlier: Cluster, touched: Collection[Kind]) -> None:
        """What an earlier picture has worked out, and what of these kinds cannot have changed.

        All other kinds must be the same in both: objects, gaps and what is absent.
        """
        self._labels |= {
            spot: made for spot, made in earlier._labels.items() if spot[0] not in touched
        }
        self._derived |= {
            key: (value, read)
            for key, (value, read) in earlier._derived.items()
            if read.isdisjoint(touched)
        }

    def __len__(self) -> int:
        return len(self._by_ref)

    def __iter__(self) -> Any:
        return iter(self._by_ref.values())

    # --- reading -------------------------------------------------------------------------

    def __getitem__(self, kind: Kind) -> Sequence[Resource]:
        """All that is seen of a kind; raises OutOfView where the kind cannot be seen at all."""
        self._declared(kind)
        gap = self._gap_of.get((kind, "", ""))
        if gap is not None and kind not in self._by_kind:
            raise OutOfView(gap)
        return self._by_kind.get(kind, ())

    def seen(self, *wanted: Kind) -> Iterator[Resource]:
        """What is seen of these kinds: one that is hidden hides no other, and is told elsewhere.

        For what is evidence where it is there, and says nothing where it is not.
        """
        for kind in wanted:
            try:
                yield from self[kind]
            except OutOfView:
                continue

    def every(self, kind: Kind) -> Sequence[Resource]:
        """All there are of a kind; raises OutOfView where some may be hidden.

        For claims of the form "no X anywhere".
        """
        seen = self[kind]
        for gap in self.gaps:
            if gap.kind == kind and not gap.name:
                raise OutOfView(gap)
        if self.namespaces is not None and self._namespaced(kind):
            raise OutOfView(Gap(kind=kind, reason="only some namespaces were read"))
        if kind in self._by_reference:
            raise OutOfView(Gap(kind=kind, reason=_BY_REFERENCE, claimed=False))
        return seen

    def within(self, kind: Kind, namespace: str) -> Sequence[Resource]:
        """All there are of a kind in a namespace; raises OutOfView where some may be hidden."""
        self._declared(kind)
        gap = self._gap_for(kind, namespace)
        if gap is not None:
            raise OutOfView(gap)
        return self._by_namespace.get((kind, namespace), ())

    def get(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        """The resource, or None where it does not exist; raises OutOfView where we cannot know."""
        self._declared(kind)
        key = kind, namespace, name
        found = self._by_ref.get(key)
        if found is None and key not in self._absent:
            gap = self._gap_of.get(key) or self._gap_for(kind, namespace)
            if gap is not None:
                raise OutOfView(gap)
        return found

    def find(self, ref: Ref) -> Resource | None:
        """The resource if it was read. Says nothing about whether it exists."""
        self._note(ref.kind)
        return self._by_ref.get(_key(ref))

    def sees(self, kind: Kind, namespace: str = "") -> bool:
        """Whether `within(kind, namespace)` would answer (without one: `every(kind)`)."""
        try:
            self.within(kind, namespace) if namespace else self.every(kind)
        except OutOfView:
            return False
        return True

    def whole(self, pod: Resource) -> Resource:
        """A Pod with spec and status; raises OutOfView where only its metadata was read."""
        found = self.get(kinds.POD_WHOLE, pod.namespace, pod.name)
        if found is None:
            raise OutOfView(
                Gap(
                    kind=kinds.POD_WHOLE,
                    reason="its spec was not read",
                    namespace=pod.namespace,
                    name=pod.name,
                )
            )
        return found

    def is_asked(self, kind: Kind) -> bool:
        """Whether the source was asked for this kind: of files, for all."""
        return self.asked is None or kind in self.asked

    def installed(self, kind: Kind) -> bool:
        """Whether the server knows this kind. Files know every kind."""
        self._note(kind)
        return kind not in self.missing_kinds

    def holds(self, kind: Kind) -> bool:
        """Whether any object of this kind was read. Says nothing about whether there is one."""
        self._note(kind)
        return kind in self._by_kind

    def may_hold(self, kind: Kind) -> bool:
        """Whether there can be an object of this kind to look at: not where its CRD is missing,
        nor where the input never claimed to hold the kind."""
        gap = self._gap_of.get((kind, "", ""))
        unclaimed = gap is not None and not gap.claimed and not self.holds(kind)
        return self.installed(kind) and not unclaimed

    def select(
        self, kind: Kind, selector: Mapping[str, str], namespace: str | None = None
    ) -> Sequence[Resource]:
        """What is seen of a kind and carries all these labels, in one namespace or everywhere.

        An empty selector selects everything, as in a NetworkPolicy; a Service without one
        selects nothing, which is for the caller to know. Raises OutOfView like `within`/`[]`.
        """
        pool = self[kind] if namespace is None else self.within(kind, namespace)
        if not selector:
            return pool
        index = self._labels.get((kind, namespace))
        if index is None:
            index = self._labels[kind, namespace] = _LabelIndex(pool)
        return index.matching(selector)

    def api_version(self, kind: Kind) -> str:
        """`group/version` that a new object of this kind is written in: one the server serves."""
        reading = kinds.READINGS[kind]
        return Ref(kind, "", "", self._versions.get(kind, reading.versions[0])).api_version

    def derive(self, compute: Callable[..., T], *args: Any) -> T:
        """`compute(cluster, *args)`, once a scan. Where it ran into OutOfView, every caller gets that.

        `compute` reads through this cluster only; of what it is given, fields are taken as read.
        """
        key = (compute, *args) if args else compute
        reading = self._reading
        try:
            value, read = self._derived[key]
        except KeyError:
            reading.append({arg.ref.kind for arg in args if isinstance(arg, Field)})
            try:
                value = compute(self, *args)
            except OutOfView as gap:
                value = gap
            finally:
                read = frozenset(reading.pop())
            read = self._kinds_read.setdefault(read, read)
            self._derived[key] = value, read
        if reading:
            reading[-1] |= read
        if value.__class__ is OutOfView:
            raise value.with_traceback(None)
        result: T = value
        return result

    # --- what can be seen ----------------------------------------------------------------

    def _note(self, kind: Kind) -> None:
        if self._reading:
            self._reading[-1].add(kind)

    def _declared(self, kind: Kind) -> None:
        self._note(kind)
        if not self.is_asked(kind):
            raise NotDeclared(f"{kind} was read but is not declared in `subjects` or `needs`")

    def _namespaced(self, kind: Kind) -> bool:
        return kinds.READINGS[kind].namespaced

    def _gap_for(self, kind: Kind, namespace: str) -> Gap | None:
        if (kind, namespace) in self._listed:
            return None
        gap = self._gap_of.get((kind, "", "")) or self._gap_of.get((kind, namespace, ""))
        if gap is not None:
            return gap
        outside = self.namespaces is not None and namespace not in self.namespaces
        if outside and self._namespaced(kind) and kind not in self.missing_kinds:
            return Gap(kind=kind, reason="this namespace was not read", namespace=namespace)
        if kind in self._by_reference and kind not in self.missing_kinds:
            return Gap(kind=kind, reason=_BY_REFERENCE, namespace=namespace, claimed=False)
        return None


def _key(ref: Ref) -> _Spot:
    return ref.kind, ref.namespace, ref.name


class _LabelIndex:
    """Which resources carry a label: the rarest label of a selector is looked up, the rest compared."""

    def __init__(self, pool: Sequence[Resource]) -> None:
        self._by_label: dict[tuple[str, str], list[Resource]] = defaultdict(list)
        for resource in pool:
            for label in resource.own_labels.items():
                self._by_label[label].append(resource)

    def matching(self, selector: Mapping[str, str]) -> Sequence[Resource]:
        wanted = list(selector.items())
        rarest: Sequence[Resource] = min(
            (self._by_label.get(label, []) for label in wanted), key=len
        )
        if len(wanted) == 1:
            return rarest
        return [r for r in rarest if all(r.own_labels.get(k) == v for k, v in wanted)]
