"""Which findings stand on which hop."""

from __future__ import annotations

from collections.abc import Iterable

from gwdoctor import kinds
from gwdoctor.entry import State, worst
from gwdoctor.model import Field, Finding, Ref, Resource, Severity
from gwdoctor.resolve import gateway_api
from gwdoctor.walk.hops import Hop, Walk, Way

_STATES = {Severity.CRITICAL: State.BROKEN, Severity.HIGH: State.DEGRADED}
#: What ways are made of: one that is not on this walk is on another, and so are its ills.
_STATIONS = frozenset(
    {
        *gateway_api.ROUTES,
        kinds.GATEWAY,
        kinds.LISTENER_SET,
        kinds.ISTIO_GATEWAY,
        kinds.VIRTUAL_SERVICE,
        kinds.INGRESS,
        kinds.SERVICE,
        kinds.SECRET,
        kinds.DESTINATION_RULE,
        kinds.PEER_AUTHENTICATION,
    }
)


def attach(walk: Walk, findings: Iterable[Finding]) -> None:
    """Put findings on the hops that they concern, and let the worst of them decide the state.

    Of each way a finding has one hop: the one that it stands on, else one that it names. It
    breaks what it stands on. What it only names it breaks where it stands on no station of a way
    (a policy, a Pod); where it stands on that of another way, only a listener or rule that it
    names is concerned, and degraded at most.
    """
    findings = tuple(findings)
    for near in (near for step in walk.steps for near in step.near):
        near.findings += [
            finding
            for finding in findings
            if finding.field.ref == near.field.ref and finding.severity in _STATES
        ]
    ways = [way for step in walk.steps for way in step.ways]
    on_the_way = {ref for hop in walk.all_hops() for ref in _refs(hop)}
    for finding in findings:
        places = (finding.field, *finding.because)
        if on_the_way.isdisjoint(spot.ref for spot in places):
            continue
        state = _STATES.get(finding.severity, State.OK)
        own = [_best(finding.field, way) for way in ways]
        elsewhere = not any(own) and finding.field.ref.kind in _STATIONS
        milder = State.DEGRADED if state is State.BROKEN and (any(own) or elsewhere) else state
        for way, hops in zip(ways, own, strict=True):
            if hops:
                _mark(hops, finding, state)
                continue
            spots = [spot for spot in finding.because if not elsewhere or _is_entry(spot)]
            named = (_best(spot, way, narrowly=elsewhere) for spot in spots)
            _mark(next(filter(None, named), ()), finding, milder)
    for way in ways:
        way.mark_after_breaks()


def _chains(way: Way) -> list[list[Hop]]:
    """The hops from the entry to each backend."""
    if not way.branches:
        return [way.hops]
    return [[*way.hops, *branch.hops] for branch in way.branches]


def _mark(hops: Iterable[Hop], finding: Finding, state: State) -> None:
    for hop in hops:
        hop.findings.append(finding)
        hop.state = worst((hop.state, state))


def _refs(hop: Hop) -> Iterable[Ref]:
    if hop.object is not None:
        yield hop.object
    yield from (spot.ref for spot in hop.spots)


def _is_entry(spot: Field) -> bool:
    shared = (kinds.SERVICE, kinds.SECRET, kinds.PEER_AUTHENTICATION)
    return spot.ref.kind in _STATIONS and spot.ref.kind not in shared


def _best(field: Field, way: Way, *, narrowly: bool = False) -> list[Hop]:
    """The hop that holds a field most narrowly, of several the first; one each of equal backends."""
    found: dict[Hop, tuple[int, bool]] = {}
    for chain in _chains(way):
        scored = [
            (score, hop)
            for hop in chain
            if (score := _score(field, hop)) is not None and (score[0] or not narrowly)
        ]
        if scored:
            score, hop = max(scored, key=lambda item: item[0])
            found[hop] = score
    top = max(found.values(), default=None)
    return [hop for hop, score in found.items() if score == top]


def _score(field: Field, hop: Hop) -> tuple[int, bool] | None:
    """How narrowly a hop holds a field, and whether by its own; None where it does not."""
    own = hop.field
    scores = []
    for spot in [own, *hop.spots] if own is not None else hop.spots:
        if spot.ref != field.ref:
            continue
        shared = min(len(spot.path), len(field.path))
        if spot.path[:shared] != field.path[:shared]:
            continue
        if isinstance(spot, Resource) and _is_of_another(field):
            continue
        scores.append((shared, spot is own))
    if not scores and own is None and hop.ref == field.ref:
        scores.append((0, True))
    return max(scores, default=None)


def _is_of_another(field: Field) -> bool:
    """Whether it stands in a list of a station: what is wrong with listener 2 is not with listener 1.

    The items that a walk comes by are fields of their hops, so they are found without this.
    """
    return field.ref.kind in _STATIONS and any(isinstance(step, int) for step in field.path)
