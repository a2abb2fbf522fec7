"""Runs probes over a cluster. One that breaks is reported, and the rest still run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from gwdoctor import changes, privatekeys
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.evidence.weighing import refuted, weighed
from gwdoctor.model import Change, Finding, Ref, Report, Resource, Skip, Target
from gwdoctor.probe import Probe

#: So many findings of one check in one object carry a fix. Each shows all of the object, so that an
#: object with thousands of faults would be written thousands of times.
MOST_FIXES = 100
_ENOUGH = (
    f"Make the change of the first {MOST_FIXES} of these in the object here too, or scan again"
)


def scan(
    cluster: Cluster,
    probes: Collection[type[Probe]],
    *,
    target: Target | None = None,
    out_of_time: Callable[[], bool] = lambda: False,
    timings: dict[str, float] | None = None,
    earlier: Report | None = None,
) -> Report:
    """Everything these probes have to say, worst first.

    `out_of_time` is asked before each probe; those that were not run are listed.
    `timings`, if given, receives the seconds that each check took. `earlier` is what other probes
    have said: these go on from it, and what they observe may prove it.
    """
    before = earlier or Report(target=target or Target(), findings=(), skips=(), checks=0)
    findings, skips = list(before.findings), list(before.skips)
    run, inapplicable = list(before.ran), list(before.inapplicable)
    incomplete = before.incomplete
    for probe in probes:
        if not any(cluster.may_hold(kind) for kind in probe.subjects):
            inapplicable.append(probe.id())
            continue
        if out_of_time():
            incomplete = True
            skips.append(Skip(check=probe.id(), reason="the deadline of the run had passed"))
            continue
        started = time.perf_counter()
        run.append(probe.id())
        _run(probe, cluster, findings, skips)
        skips += _blind_spots(probe, cluster)
        if timings is not None:
            timings[probe.id()] = time.perf_counter() - started
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
        incomplete=incomplete,
    )


def _run(probe: type[Probe], cluster: Cluster, findings: list[Finding], skips: list[Skip]) -> None:
    fixes: Counter[Ref] = Counter()
    try:
        for item in probe().run(cluster):
            if isinstance(item, Finding):
                fixes[item.field.ref] += item.fix is not None
                if fixes[item.field.ref] > MOST_FIXES and item.fix is not None:
                    item = replace(item, fix=None, advice=_ENOUGH)
                findings.append(_rooted(item, cluster))
            else:
                skips.append(item)
    except OutOfView as hidden:
        if hidden.gap.claimed or any(map(cluster.holds, probe.subjects)):
            skips.append(Skip(check=probe.id(), reason=str(hidden), rbac=hidden.gap.rbac))
    except Exception as bug:  # one broken check must not cost the report of the others
        reason = f"gwdoctor failed in this check: {type(bug).__name__}: {bug}"
        skips.append(Skip(check=probe.id(), reason=reason, problem="bug"))


def _blind_spots(probe: type[Probe], cluster: Cluster) -> Iterable[Skip]:
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
