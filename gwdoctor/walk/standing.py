"""Which findings stand on which hop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gwdoctor.model import Field, Finding, Path, Ref, Resource, Severity
from gwdoctor.walk.hops import Hop, State, Walk, Way, worst

_STATES = {Severity.CRITICAL: State.BROKEN, Severity.HIGH: State.DEGRADED}


def attach(walk: Walk, findings: Iterable[Finding]) -> None:
    """Put findings on the hops that they concern, and let the worst of them decide the state.

    Of each way a finding has one hop: the one that it stands on, else one that it names. It
    breaks what it stands on; what it only names, it breaks where it stands nowhere on the walk.
    """
    findings = tuple(findings)
    told = {spot.ref for f in findings for spot in (f.field, *f.because)}
    on_the_way = {ref for hop in walk.all_hops() for ref in _refs(hop)}
    concerned = [
        f for f in findings if any(spot.ref in on_the_way for spot in (f.field, *f.because))
    ]
    chains = [
        chain
        for step in walk.steps
        for way in step.ways
        for chain in _chains(way)
        if told & {ref for hop in chain for ref in _refs(hop)}
    ]
    for finding in concerned:
        state = _STATES.get(finding.severity, State.OK)
        own = [_best(finding.field, chain) for chain in chains]
        milder = State.DEGRADED if state is State.BROKEN and any(own) else state
        for chain, hop in zip(chains, own, strict=True):
            if hop is not None:
                _mark(hop, finding, state)
                continue
            named = (_best(spot, chain) for spot in finding.because)
            other = next((found for found in named if found is not None), None)
            if other is not None:
                _mark(other, finding, milder)
    for step in walk.steps:
        for way in step.ways:
            way.mark_after_breaks()


def _chains(way: Way) -> list[list[Hop]]:
    """The hops from the entry to each backend."""
    if not way.branches:
        return [way.hops]
    return [[*way.hops, *branch.hops] for branch in way.branches]


def _mark(hop: Hop, finding: Finding, state: State) -> None:
    if finding not in hop.findings:
        hop.findings.append(finding)
        hop.state = worst((hop.state, state))


def _refs(hop: Hop) -> Iterable[Ref]:
    if hop.object is not None:
        yield hop.object
    yield from (spot.ref for spot in hop.spots)


def _best(field: Field, chain: Sequence[Hop]) -> Hop | None:
    """The hop that holds a field most narrowly: the first that is about it, else the last."""
    best: tuple[int, bool] | None = None
    found: Hop | None = None
    for hop in chain:
        score = _score(field, hop)
        if score is None:
            continue
        is_about = score[1]
        if best is None or score > best or (score == best and not is_about):
            best, found = score, hop
    return found


def _score(field: Field, hop: Hop) -> tuple[int, bool] | None:
    """How much of a path a hop shares, and by its own field; None where it has nothing to do with it."""
    best: tuple[int, bool] | None = None
    own = hop.field
    fields = [own, *hop.spots] if own is not None else [*hop.spots]
    for spot in fields:
        if spot.ref != field.ref:
            continue
        is_own = spot is own
        if isinstance(spot, Resource):
            inside = own is not None and own.ref == spot.ref and not isinstance(own, Resource)
            if own is not None and inside and _is_beside(own.path, field.path):
                continue
            score = (0, is_own)
        elif field.path[: len(spot.path)] == spot.path:
            score = (len(spot.path), is_own)
        else:
            continue
        best = score if best is None or score > best else best
    if best is None and own is None and hop.ref == field.ref:
        return (0, True)
    return best


def _is_beside(own: Path, other: Path) -> bool:
    """Whether two paths part at an item of a list: listener 2 is not listener 1."""
    for one, two in zip(own, other, strict=False):
        if one != two:
            return isinstance(one, int) and isinstance(two, int)
    return False
