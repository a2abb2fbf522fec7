"""Whether a fix does what it says: it is made in the picture, and the checks are run again.

Nothing is asked of a cluster. What a controller will write about the changed object is not known:
its old status is kept, and its generation is raised, as the API server would do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.model import Change, Finding, Proof, Ref, Report, Resource, Skip
from gwdoctor.probe import Probe
from gwdoctor.source import decode

#: What a scan of files spends on proofs, in objects looked at again: a count and no clock, so that
#: the same input gives the same report. One proof costs up to as much as the scan did.
OBJECTS = 10_000
#: What a scan of a cluster spends on them.
SECONDS = 1.0
NOT_TRIED = "not tried in a scan of this size; `fix` tries it"
_OUT_OF_TIME = "not tried: the deadline of the run had passed"
_BY_COMMANDS = "it is made by commands, which are not tried"
_SERVER_WRITES = ("creationTimestamp", "deletionTimestamp", "generation")


class Prover:
    """Tries fixes in the picture of one scan.

    Args:
        cluster: the picture.
        probes: the checks that were run on it.
        before: all that they said.
        seconds: that it took them.
    """

    def __init__(
        self,
        cluster: Cluster,
        probes: Collection[type[Probe]],
        before: Report,
        seconds: float = 0.0,
    ) -> None:
        self.seconds = seconds
        self._cluster = cluster
        self._probes = tuple(probes)
        self._stood = {finding.id for finding in before.findings}
        self._hidden = set(map(_key, before.skips))

    @property
    def size(self) -> int:
        """How many objects the picture holds."""
        return len(self._cluster)

    def prove(self, finding: Finding) -> Proof:
        """What becomes of this finding, and of all others, by its fix."""
        changes = finding.fix.changes if finding.fix else ()
        if not changes:
            return Proof(unknown=(_BY_COMMANDS,))
        unknown = tuple(self._obstacles(changes))
        if unknown:
            return Proof(unknown=unknown)
        try:
            picture, probes = self.changed(finding)
        except decode.BadObject as error:
            return Proof(unknown=(f"the object could not be read after it: {error}",))
        report = scan(picture, probes)
        left = {one.id for one in report.findings}
        return Proof(
            clears=finding.id not in left,
            opens=tuple(sorted(left - self._stood)),
            unknown=tuple(
                dict.fromkeys(s.reason for s in report.skips if _key(s) not in self._hidden)
            ),
            checks=len(probes),
        )

    def changed(self, finding: Finding) -> tuple[Cluster, list[type[Probe]]]:
        """The picture with the fix of a finding in it, and the checks that look at what changed.

        Raises BadObject where the fix makes an object that cannot be read.
        """
        changes = finding.fix.changes if finding.fix else ()
        put = [resource for change in changes for resource in _made(change, self._cluster)]
        gone = [ref for change in changes if change.after is None for ref in _facets(change.ref)]
        return self._cluster.after(put, gone), self._concerned(finding)

    def _concerned(self, finding: Finding) -> list[type[Probe]]:
        """The checks whose answer can change: those that read what changes."""
        changes = finding.fix.changes if finding.fix else ()
        touched = {ref.kind for change in changes for ref in _facets(change.ref)}
        return [
            probe
            for probe in self._probes
            if probe.id() == finding.check or not touched.isdisjoint(probe.reads())
            if not probe.observes()  # what ran before the change says nothing about after it
        ]

    def _obstacles(self, changes: Collection[Change]) -> Iterator[str]:
        for change in changes:
            kind = change.ref.kind
            if change.before is None and not self._cluster.installed(kind):
                yield f"{kind} is not installed in this cluster"
            elif change.before is None and self._cluster.find(change.ref) is not None:
                yield f"there is a {change.ref} already"


@dataclass(slots=True)
class Budget:
    """How much may be spent on proofs; without limits, whatever it takes."""

    objects: int | None = None
    seconds: float | None = None
    expected: float = 0.0  #: seconds that the next proof takes, about
    out_of_time: Callable[[], bool] = lambda: False

    def refusal(self, size: int) -> str:
        """Why one more proof, in a picture of this size, cannot be paid; empty if it can."""
        if self.out_of_time():
            return _OUT_OF_TIME
        if self.objects is not None:
            if size > self.objects:
                return NOT_TRIED
            self.objects -= size
        if self.seconds is not None and self.expected > self.seconds:
            return NOT_TRIED
        return ""

    def spent(self, seconds: float) -> None:
        """A proof took so long."""
        self.expected = seconds
        if self.seconds is not None:
            self.seconds -= seconds


def proven(report: Report, prover: Prover, budget: Budget) -> Report:
    """The report with a proof in every fix, worst findings first, as far as the budget goes.

    Where it ends, the fixes say that they were not tried.
    """
    return replace(report, findings=tuple(_proven(f, prover, budget) for f in report.findings))


def _proven(finding: Finding, prover: Prover, budget: Budget) -> Finding:
    if finding.fix is None:
        return finding
    if not finding.fix.changes:
        proof = Proof(unknown=(_BY_COMMANDS,))
    elif refusal := budget.refusal(prover.size):
        proof = Proof(unknown=(refusal,))
    else:
        started = time.perf_counter()
        proof = prover.prove(finding)
        budget.spent(time.perf_counter() - started)
    return replace(finding, fix=replace(finding.fix, proof=proof))


def _key(skip: Skip) -> tuple[str, str, Ref | None]:
    return skip.check, skip.reason, skip.ref


def _facets(ref: Ref) -> list[Ref]:
    """An object as every kind that it is read as (of a Pod there are two pictures)."""
    return [replace(ref, kind=kind) for kind in kinds.by_name(ref.kind.name, ref.kind.group)] or [
        ref
    ]


def _made(change: Change, cluster: Cluster) -> Iterator[Resource]:
    """The object of a change as it would be read after it."""
    if change.after is None:
        return
    after: dict[str, Any] = {**change.after, "metadata": {**change.after["metadata"]}}
    was = cluster.find(change.ref)
    if was is not None and change.before is not None:
        known = msgspec.to_builtins(was.value)
        for key in _SERVER_WRITES:
            if key in known["metadata"]:
                after["metadata"][key] = known["metadata"][key]
        if known.get("status") is not None:
            after["status"] = known["status"]
        if "generation" in after["metadata"] and _means_more(change):
            after["metadata"]["generation"] += 1
    for resource in decode.resources(after, default_namespace=change.ref.namespace):
        if change.before is None or cluster.find(resource.ref) is not None:
            yield resource


def _means_more(change: Change) -> bool:
    """Whether more than metadata changes: that raises the generation."""
    before, after = change.before or {}, change.after or {}
    return any(
        before.get(key) != after.get(key) for key in (before.keys() | after.keys()) - {"metadata"}
    )
