"""The map of requests through Gateway API: listeners and routes, whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Hop, Named, State
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import gateway_api, hosts
from gwdoctor.resolve.gateway_api import Listener, Parent
from gwdoctor.resolve.request_backends import named, named_as
from gwdoctor.resolve.request_draft import ANY, Draft

_REFUSALS = {
    "KindNotAllowed": "the listener takes no routes of this kind",
    "NamespaceNotAllowed": "the listener takes no routes of this namespace",
    "NoMatchingListenerHostname": "no listener has its hostnames",
}


def add_routes(draft: Draft) -> None:
    """The routes, with the listeners that take them."""
    for kind in gateway_api.ROUTES:
        for route in draft.cluster.seen(kind):
            try:
                parents = gateway_api.parents(route, draft.cluster)
            except OutOfView as hidden:
                _unseen_parents(draft, route, hidden)
            else:
                for parent in parents:
                    _parent(draft, parent)
                _lost_names(draft, route, parents)


def _names(route: Resource) -> tuple[str, ...]:
    return route.texts("spec", "hostnames") or (ANY,)


def _parent(draft: Draft, parent: Parent) -> None:
    route = parent.route
    if parent.owner is None or not parent.selected:
        listener = _missing_parent(draft, parent)
        for name in _names(route):
            draft.way(name, listener, _route(draft, route))
    elif parent.attached or gateway_api.accepted(parent):
        # where the controller takes the route although the rules say otherwise, it is right
        for one in parent.attached or parent.selected[:1]:
            listener = _listener(draft, one)
            for name in gateway_api.shared_hostnames(one, route) or _names(route):
                if not _is_left_to_another(one, name, draft.cluster):
                    draft.way(name, listener, _route(draft, route))
    else:
        reason = _REFUSALS.get(gateway_api.refusal(parent, draft.cluster), "it is not taken")
        likely = next(
            (one for one in parent.selected if gateway_api.shared_hostnames(one, route)),
            parent.selected[0],
        )
        for name in _names(route):
            draft.way(name, _listener(draft, likely), _route(draft, route, reason))


def _route(draft: Draft, route: Resource, refusal: str = "") -> int:
    hop = Hop(State.BROKEN if refusal else State.OK, "", object=named(route), says=refusal)
    position, is_new = draft.route((route.ref, refusal), hop)
    if is_new:
        draft.spots.add(route, hop, whole=True)
        references = [r for r in gateway_api.backend_refs(route) if not r.is_mirror and r.weight]
        draft.leads(position, map(draft.backends.of_reference, references))
        if not references and not refusal:
            hop.says = _without_backends(route)
    return position


def _without_backends(route: Resource) -> str:
    redirects = any(
        step.has("requestRedirect")
        for rule in route.each("spec", "rules")
        for step in rule.each("filters")
    )
    return "redirects" if redirects else "answers by itself"


def _listener(draft: Draft, listener: Listener) -> int:
    port = "" if listener.port is None else f" {listener.port}"
    hop = Hop(State.OK, "", f"{listener.name}{port}".strip(), named(listener.owner))
    position, is_new = draft.listener(listener.field, hop)
    if is_new:
        draft.spots.add(listener.field, hop, whole=True)
    return position


def _missing_parent(draft: Draft, parent: Parent) -> int:
    """Where a parentRef leads to nothing: a Gateway or a listener that is not there."""
    reference, owner = parent.field, parent.owner
    part = reference.text("sectionName") or str(reference.number("port") or "")
    if owner is not None:
        hop = Hop(State.BROKEN, "", part, named(owner), says="has no such listener")
    else:
        kind = gateway_api.parent_kind(reference) or kinds.GATEWAY
        target = _target(draft, parent.route, reference, kind)
        hop = Hop(State.BROKEN, "", part, target, says="does not exist")
    position, _ = draft.listener((hop.object, part, hop.says), hop)
    draft.spots.add(reference, draft.listeners[position])
    return position


def _target(draft: Draft, route: Resource, reference: Field, kind: Kind) -> Named:
    namespace = reference.text("namespace") or route.namespace
    return named_as(kind, namespace, reference.text("name"), draft.cluster)


def _unseen_parents(draft: Draft, route: Resource, hidden: OutOfView) -> None:
    for reference in route.each("spec", "parentRefs"):
        kind = gateway_api.parent_kind(reference)
        if kind is None:
            continue
        part = reference.text("sectionName")
        target = _target(draft, route, reference, kind)
        hop = Hop(State.UNSEEN, "", part, target, says=hidden.gap.reason)
        listener, _ = draft.listener((hop.object, part, "unseen"), hop)
        for name in _names(route):
            draft.way(name, listener, _route(draft, route))


def _lost_names(draft: Draft, route: Resource, parents: Sequence[Parent]) -> None:
    """Names of a route that is taken, of which no listener has this one."""
    attached = [one for parent in parents for one in parent.attached]
    if not attached or len(attached) < sum(bool(parent.selected) for parent in parents):
        return  # none takes it, which is told above
    for spot in route.each("spec", "hostnames"):
        name = spot.text()
        if name and all(hosts.intersection(one.hostname, name) is None for one in attached):
            owner = attached[0].owner
            hop = Hop(State.BROKEN, "", "", named(owner), says="no listener has this name")
            listener, _ = draft.listener((owner.ref, "lost", name), hop)
            draft.spots.add(spot, hop)
            draft.way(name, listener, _route(draft, route))


def _is_left_to_another(listener: Listener, name: str, cluster: Cluster) -> bool:
    """Whether a listener of the same port has exactly this name, and takes its requests."""
    if not name or name.lower() == listener.hostname.lower():
        return False
    return (listener.owner, listener.port, name.lower()) in cluster.derive(_listener_names)


def _listener_names(cluster: Cluster) -> frozenset[tuple[Resource, int | None, str]]:
    owners = [
        owner
        for kind in (kinds.GATEWAY, kinds.LISTENER_SET)
        if cluster.may_hold(kind) and cluster.holds(kind)
        for owner in cluster[kind]
    ]
    return frozenset(
        (owner, one.port, one.hostname.lower())
        for owner in owners
        for one in gateway_api.listeners(owner)
        if one.hostname
    )


def add_listeners(draft: Draft) -> None:
    """Then the listeners that have a name and no route for it."""
    for gateway in draft.cluster.seen(kinds.GATEWAY):
        try:
            listeners = gateway_api.all_listeners(gateway, draft.cluster)
        except OutOfView:
            listeners = gateway_api.listeners(gateway)
        for one in listeners:
            position = _listener(draft, one)
            if one.hostname and position not in draft.with_routes:
                hidden = next(_hidden_routes(one, draft.cluster), None)
                if hidden is None:
                    draft.unrouted(one.hostname, position)
                else:
                    draft.way(one.hostname, position, draft.unseen_route(hidden))


def _hidden_routes(listener: Listener, cluster: Cluster) -> Iterator[OutOfView]:
    """Why there may be routes of a listener that are not seen."""
    for kind in gateway_api.ROUTES:
        if gateway_api.fits_protocol(listener, kind) and cluster.installed(kind):
            try:
                cluster.every(kind)
            except OutOfView as hidden:
                yield hidden
