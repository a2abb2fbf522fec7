"""The walk over all systems, from one redirect to the next."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Kind
from gwdoctor.resolve import hosts
from gwdoctor.walk import gateways, gateways_near, ingresses, istio, kong, mesh
from gwdoctor.walk.hops import Hop, Near, Step, Walk, Way, elsewhere, unseen
from gwdoctor.walk.request import Request

#: What a walk reads, whatever checks are run.
KINDS: tuple[Kind, ...] = tuple(
    dict.fromkeys((*gateways.KINDS, *istio.KINDS, *kong.KINDS, *ingresses.KINDS, *mesh.KINDS))
)
_SYSTEMS = (istio, gateways, kong, ingresses, mesh)
#: So many redirects are followed; browsers give up at 20.
_MOST_STEPS = 10
_MOST_NEAR = 12


def walk(request: Request, cluster: Cluster) -> Walk:
    """Every way of a request, and of those that redirects make of it.

    Of a host without a scheme https is walked, or http where nothing takes https.
    """
    first = _step(request, cluster)
    if not request.scheme_is_given and not any(way.answers for way in first.ways):
        other = _step(request.over("http" if request.is_tls else "https"), cluster)
        if any(way.answers for way in other.ways):
            first = other
    found = Walk([first])
    known = {first.request.url: 0}
    position = 0
    while position < len(found.steps):
        for way in found.steps[position].ways:
            redirect = way.redirect
            if redirect is None or redirect.to is None:
                continue
            if redirect.to.url not in known and len(found.steps) < _MOST_STEPS:
                known[redirect.to.url] = len(found.steps)
                found.steps.append(_step(redirect.to, cluster))
            redirect.step = known.get(redirect.to.url)
        position += 1
    _tell_redirects(found)
    for step in found.steps:
        for way in step.ways:
            way.mark_after_breaks()
    return found


def _step(request: Request, cluster: Cluster) -> Step:
    step = Step(request)
    for system in _SYSTEMS:
        try:
            step.ways += system.ways(request, cluster)
        except OutOfView as hidden:
            if hidden.gap.claimed:
                step.unseen.append(unseen("gateway", hidden))
    if any(way.answers for way in step.ways):  # a listener that takes it and routes it nowhere
        step.ways = [way for way in step.ways if way.is_named or way.answers]
    elif any(way.is_named or way.is_covered for way in step.ways):
        step.ways = [way for way in step.ways if way.is_named or way.is_covered]
    if request.address:
        for way in step.ways:
            way.is_elsewhere = bool(way.addresses) and request.address not in way.addresses
    step.ways.sort(key=lambda way: (way.is_elsewhere, not way.answers))
    if not any(way.answers for way in step.ways):
        step.near = _near(request, cluster)
        more = elsewhere(cluster, *_ENTRIES)
        if more is not None and not step.unseen:
            step.unseen.append(unseen("gateway", more))
    return step


_ENTRIES = tuple(
    kind
    for kind in KINDS
    if kind.name
    in ("Gateway", "VirtualService", "HTTPRoute", "GRPCRoute", "TLSRoute", "Ingress", "ListenerSet")
)


# --- redirects ---------------------------------------------------------------------------


def _tell_redirects(walk: Walk) -> None:
    """A hop for every redirect, and which of them come back to where they began."""
    for position, step in enumerate(walk.steps):
        for way in step.ways:
            redirect = way.redirect
            if redirect is None:
                continue
            spot = way.hops[-1].field if way.hops else None
            hop = Hop("redirect", f"{redirect.status} to {redirect.location}", spot)
            if redirect.to is None:
                hop.says += ", which is not walked"
                hop.state = State.UNSEEN
            elif _returns(walk, position, way):
                redirect.loops = True
                hop.state = State.BROKEN
                hop.says += ": back to where it was, ERR_TOO_MANY_REDIRECTS"
            elif redirect.step is None:
                hop.state = State.BROKEN
                hop.says += f": more than {_MOST_STEPS} redirects"
            way.hops.append(hop)


def _returns(walk: Walk, position: int, way: Way) -> bool:
    """Whether the client, who stays with an entry while it has the host, comes back to this step."""
    seen: set[tuple[int, tuple[object, ...]]] = set()
    waiting = [(position, way)]
    while waiting:
        at, current = waiting.pop()
        if (at, current.key) in seen:
            continue
        seen.add((at, current.key))
        target = current.redirect.step if current.redirect is not None else None
        if target is None:
            continue
        following = walk.steps[target].ways
        same = [one for one in following if one.key == current.key]
        for one in same or following:
            if target == position and one.key == way.key:
                return True
            waiting.append((target, one))
    return False


# --- what comes near ---------------------------------------------------------------------


def _near(request: Request, cluster: Cluster) -> list[Near]:
    """What has the host and does not take it, then names that look like it."""
    found: dict[tuple[object, ...], Near] = {}
    for system in (gateways_near, istio, ingresses):
        try:
            for one in system.near(request, cluster):
                found.setdefault((one.field, one.says), one)
        except OutOfView:
            continue
    if len(found) < _MOST_NEAR:
        for one in _alike(request, cluster):
            found.setdefault((one.field, one.says), one)
            if len(found) >= _MOST_NEAR:
                break
    return list(found.values())[:_MOST_NEAR]


def _alike(request: Request, cluster: Cluster) -> Iterator[Near]:
    places: dict[str, Near] = {}
    for system in (gateways_near, istio, kong, ingresses):
        try:
            for name, field in system.names(cluster):
                if not hosts.suffix_covers(name, request.host):
                    places.setdefault(name, Near(field, f"has {name}"))
        except OutOfView:
            continue
    bare = {name.removeprefix("*."): name for name in places}
    close = difflib.get_close_matches(request.host, bare, n=5, cutoff=0.7)
    for name in close:
        yield places[bare[name]]
    if not close:
        parent = hosts.registrable(request.host)
        beside = sorted(name for name in places if hosts.registrable(name) == parent)
        for name in beside[:5]:
            yield places[name]
