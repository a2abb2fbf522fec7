"""Runs probes over a cluster. One that breaks is reported, and the rest still run."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from gwdoctor import changes, privatekeys
from gwdoctor.alarm import Alarm, TimeUp
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.evidence.weighing import refuted, weighed
from gwdoctor.model import Change, Finding, Kind, Ref, Report, Resource, Skip, Target
from gwdoctor.probe import Probe

#: Of the time that there is for all checks one may take so much.
SHARE = 0.25
#: So many findings of one check in one object carry a fix. Each shows all of the object, so that an
#: object with thousands of faults would be written thousands of times.
MOST_FIXES = 100
_ENOUGH = (
    f"Make the change of the first {MOST_FIXES} of these in the object here too, or scan again"
)
#: So many objects are shown to every check before the next ones are.
AT_ONCE = 100


class _Task:
    """A probe, and what it has said so far."""

    def __init__(self, probe: type[Probe]) -> None:
        self.probe = probe()
        self.findings: list[Finding] = []
        self.fixes: Counter[Ref] = Counter()
        self.skips: list[Skip] = []
        self.seconds = 0.0
        self.is_over = False  #: it broke, or its time is up
        self.has_run = True

    @property
    def compares(self) -> bool:
        """Whether it looks at all of its subjects together."""
        return type(self.probe).run is not Probe.run

    def take(self, item: Finding | Skip, cluster: Cluster) -> None:
        """Something that it said."""
        if isinstance(item, Skip):
            self.skips.append(item)
            return
        if item.fix is not None:
            self.fixes[item.field.ref] += 1
            if self.fixes[item.field.ref] > MOST_FIXES:
                item = replace(item, fix=None, advice=_ENOUGH)
        self.findings.append(_rooted(item, cluster))

    def tell(self, reason: str, problem: str = "") -> None:
        """Why it has not said all."""
        self.skips.append(Skip(check=self.probe.id(), reason=reason, problem=problem))


class _Run:
    """Runs probes over a cluster, each within its share of the time."""

    def __init__(self, cluster: Cluster, left: Callable[[], float], alarm: Alarm) -> None:
        self._cluster = cluster
        self._left = left
        self._alarm = alarm
        self._share = left() * SHARE
        self.incomplete = False

    def compare(self, task: _Task) -> None:
        """Let it look at everything."""
        self._listen(task, partial(task.probe.run, self._cluster))

    def look(self, tasks: Sequence[_Task], kind: Kind) -> None:
        """Let each of them look at every object of a kind.

        A few objects at a time: a large cluster does not fit into the processor's cache, and to
        fetch it from memory for every probe anew takes longer than to judge it.
        """
        try:
            subjects = self._cluster[kind]
        except OutOfView as hidden:
            for task in tasks:
                if hidden.gap.claimed:  # files without such an object have none to look at
                    task.skips.append(task.probe.skip(hidden))
            return
        for start in range(0, len(subjects), AT_ONCE):
            some = subjects[start : start + AT_ONCE]
            for task in tasks:
                if not task.is_over:
                    self._listen(task, partial(task.probe.look, some, self._cluster))

    def _listen(self, task: _Task, speech: Callable[[], Iterable[Finding | Skip]]) -> None:
        """Write down what it says, till it ends, breaks, or its time is up."""
        left, took = self._left(), task.seconds
        share = min(self._share - took, left)
        if left <= 0:
            task.has_run = took > 0
            self._end(task, "the deadline of the run had passed")
            return
        started = time.perf_counter()
        self._alarm.set(share)
        try:
            for item in speech():
                task.take(item, self._cluster)
        except OutOfView as hidden:
            if hidden.gap.claimed or any(map(self._cluster.holds, task.probe.subjects)):
                task.skips.append(task.probe.skip(hidden))
            task.is_over = True
        except TimeUp:
            took += time.perf_counter() - started
            self._end(task, f"it was ended after {took:.1f} s, its share of the time (--timeout)")
        except Exception as bug:  # one broken check must not cost the report of the others
            reason = f"gwdoctor failed in this check: {type(bug).__name__}: {bug}"
            task.tell(reason, problem="bug")
            task.is_over = True
        finally:
            self._alarm.set(math.inf)
            task.seconds += time.perf_counter() - started

    def _end(self, task: _Task, reason: str) -> None:
        task.tell(reason)
        task.is_over = self.incomplete = True


def scan(
    cluster: Cluster,
    probes: Collection[type[Probe]],
    *,
    target: Target | None = None,
    left: Callable[[], float] = lambda: math.inf,
    timings: dict[str, float] | None = None,
    earlier: Report | None = None,
) -> Report:
    """Everything these probes have to say, worst first.

    `left` tells how many seconds there are; no probe may take more than SHARE of them. Those that
    were not run, or not to their end, are listed.
    `timings`, if given, receives the seconds that each check took. `earlier` is what other probes
    have said: these go on from it, and what they observe may prove it.
    """
    before = earlier or Report(target=target or Target(), findings=(), skips=(), checks=0)
    findings, skips = list(before.findings), list(before.skips)
    run, inapplicable = list(before.ran), list(before.inapplicable)
    tasks: list[_Task] = []
    for probe in probes:
        if any(cluster.may_hold(kind) for kind in probe.subjects):
            tasks.append(_Task(probe))
        else:
            inapplicable.append(probe.id())
    listeners: dict[Kind, list[_Task]] = defaultdict(list)
    for task in tasks:
        for kind in task.probe.subjects if not task.compares else ():
            listeners[kind].append(task)
    with Alarm() as alarm:
        judges = _Run(cluster, left, alarm)
        for kind, those in listeners.items():
            judges.look(those, kind)
        for task in tasks:
            if task.compares:
                judges.compare(task)
    for task in tasks:
        findings += task.findings
        skips += task.skips
        if not task.has_run:
            continue
        run.append(task.probe.id())
        skips += _blind_spots(task.probe, cluster)
        if timings is not None:
            timings[task.probe.id()] = task.seconds
    skips += [
        Skip(check=claim.check, reason=f"taken back: {seen.message}", ref=claim.field.ref)
        for claim, seen in refuted(findings)
    ]
    return Report(
        target=target or Target(),
        findings=tuple(_distinct(sorted(weighed(findings), key=_worst_first))),
        skips=tuple(_once(skips)),
        checks=len(run),
        ran=tuple(run),
        inapplicable=tuple(inapplicable),
        not_applicable=len(inapplicable),
        objects=len(cluster),
        incomplete=before.incomplete or judges.incomplete,
    )


def _blind_spots(probe: Probe, cluster: Cluster) -> Iterable[Skip]:
    """The kinds that the check reads and that could not be read: what it said is not all."""
    for gap in cluster.gaps:
        if gap.claimed and not gap.name and gap.kind in probe.reads():
            yield Skip(check=probe.id(), reason=str(gap), rbac=gap.rbac)


def _rooted(finding: Finding, cluster: Cluster) -> Finding:
    """With the object that it stands in, whose list items name its stable path.

    Without a fix that would write an object back from which a private key was cut.
    """
    if finding.fix and any(map(_writes_cut_key, finding.fix.changes)):
        by_hand = (
            f"Make this change by hand, as gwdoctor keeps no private keys: {finding.fix.title}"
        )
        advice = f"{by_hand}. {finding.advice}" if finding.advice else by_hand
        finding = replace(finding, fix=None, advice=advice)
    if finding.root is not None:
        return finding
    if isinstance(finding.field, Resource):
        return replace(finding, root=finding.field)
    root = cluster.find(finding.field.ref)
    return replace(finding, root=root) if root is not None else finding


def _writes_cut_key(change: Change) -> bool:
    # the whole object first: hardly any holds one, and a manifest takes copies to make
    return privatekeys.was_cut(change.after) and privatekeys.was_cut(changes.manifest(change))


def _worst_first(finding: Finding) -> tuple[object, ...]:
    spot = finding.field
    return (
        -finding.severity,
        -finding.confidence,
        spot.ref,
        finding.check,
        tuple(str(step).rjust(6, "0") for step in spot.path),
        finding.message,
    )


def _distinct(findings: Iterable[Finding]) -> Iterable[Finding]:
    """No two findings under one id: the second is marked, the same one twice is dropped."""
    seen: dict[str, int] = {}
    told: set[tuple[str, str]] = set()
    for finding in findings:
        key = finding.id
        if (key, finding.message) in told:
            continue
        told.add((key, finding.message))
        count = seen[key] = seen.get(key, 0) + 1
        yield finding if count == 1 else replace(finding, marker=f"{finding.marker}#{count}")


def _once(skips: Iterable[Skip]) -> Iterable[Skip]:
    seen: set[tuple[object, ...]] = set()
    for skip in skips:
        key = (skip.check, skip.reason, skip.ref)
        if key not in seen:
            seen.add(key)
            yield skip
