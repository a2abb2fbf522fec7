"""The findings of a scan laid over the map of requests, and the verdict on each hostname."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.entry import Backend, Hop, RequestMap, Route, State, Way, worst
from gwdoctor.model import Field, Finding, Kind, Ref, Resource, Severity
from gwdoctor.resolve import credentials, request_map
from gwdoctor.resolve.request_draft import Draft
from gwdoctor.resolve.request_spots import Spots

T = TypeVar("T")
#: What it reads.
KINDS = (*request_map.KINDS, kinds.SECRET, kinds.CERTIFICATE, kinds.REFERENCE_GRANT)
_SHARED = (kinds.SECRET, kinds.CERTIFICATE)
_STATES = {Severity.CRITICAL: State.BROKEN, Severity.HIGH: State.DEGRADED}


def of(
    cluster: Cluster, findings: Iterable[Finding], namespaces: frozenset[str] | None = None
) -> RequestMap:
    """The map of a cluster with these findings on it.

    `namespaces`: only hostnames whose requests come through one of these.
    """
    draft = request_map.drafted(cluster)
    _certificates(draft)
    for finding in findings:
        _place(finding, draft.spots)
    whole = request_map.finished(draft)
    for host, states in zip(whole.hosts, whole.states(), strict=True):
        host.state = _verdict(host.ways, states)
    return _trimmed(whole, namespaces)


def _place(finding: Finding, spots: Spots) -> None:
    """A finding breaks what it stands on. What it only names beside that is affected at most.

    Where the map does not show what it stands on (a policy, a Pod), it breaks what it names. A
    certificate that a listener's own ill names is not ill, nor are the others that serve it.
    """
    state = _STATES.get(finding.severity, State.OK)
    own = spots.of(finding.field)
    named = [s for s in finding.because if not own or s.ref.kind not in _SHARED]
    others = [hop for spot in named for hop in spots.of(spot)]
    if own:
        milder = State.DEGRADED if state == State.BROKEN else state
        _mark(others, finding.id, milder)
        _mark(own, finding.id, state)
    else:
        _mark(others, finding.id, state)


def _mark(hops: Iterable[Hop], finding: str, state: State) -> None:
    for hop in hops:
        hop.state = worst((hop.state, state))
        if finding not in hop.findings[-1:]:  # one finding is placed at a time
            hop.findings.append(finding)


def _certificates(draft: Draft) -> None:
    """What is wrong with a certificate is wrong with the listeners that serve it."""
    spots, cluster = draft.spots, draft.cluster
    served: dict[tuple[str, str], list[Hop]] = {}
    for name, uses in credentials.uses(cluster).items():
        served[name] = [hop for use in uses for hop in spots.of(use.field)]
    for secret, hops in served.items():
        for hop in {id(hop): hop for hop in hops}.values():
            spots.add(_whole(kinds.SECRET, *secret), hop, whole=True)
    for writer in draft.cluster.seen(kinds.CERTIFICATE):
        for hop in served.get((writer.namespace, writer.text("spec", "secretName")), ()):
            spots.add(writer, hop, whole=True)


def _whole(kind: Kind, namespace: str, name: str) -> Field:
    return Resource(Ref(kind, namespace, name), (), None)


def _verdict(ways: Sequence[Way], states: Iterable[State]) -> State:
    """The worst of the ways of a hostname; one that nothing routes counts only for itself."""
    if any(way.route is not None for way in ways):
        states = [state for state in states if state != State.UNROUTED]
    return worst(states)


# --- what is shown -----------------------------------------------------------------------


def _trimmed(whole: RequestMap, namespaces: frozenset[str] | None) -> RequestMap:
    """Without what no shown hostname leads to."""
    hosts = [
        host
        for host in whole.hosts
        if namespaces is None or any(_touches(way, whole, namespaces) for way in host.ways)
    ]
    listeners = _Kept[Hop](whole.listeners)
    routes = _Kept[Route](whole.routes)
    backends = _Kept[Backend](whole.backends)
    for host in hosts:
        for way in host.ways:
            way.listener = listeners.position(way.listener)
            if way.route is not None:
                way.route = routes.position(way.route)
    for route in routes.found:
        route.backends = [backends.position(position) for position in route.backends]
    return RequestMap(hosts, listeners.found, routes.found, backends.found)


class _Kept(Generic[T]):
    """The items of a list that something points to, and their new positions."""

    def __init__(self, items: Sequence[T]) -> None:
        self.found: list[T] = []
        self._items = items
        self._positions: dict[int, int] = {}

    def position(self, old: int) -> int:
        if old not in self._positions:
            self._positions[old] = len(self.found)
            self.found.append(self._items[old])
        return self._positions[old]


def _touches(way: Way, whole: RequestMap, namespaces: frozenset[str]) -> bool:
    hops = [whole.listeners[way.listener]]
    if way.route is not None:
        route = whole.routes[way.route]
        hops += [route.hop, *(whole.backends[position].service for position in route.backends)]
    return any(hop.object is not None and hop.object.namespace in namespaces for hop in hops)
