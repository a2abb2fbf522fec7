"""Where requests go and break: hostname, listener, route, Service, endpoints.

Put together from the joins of each system; a hop that a reference leads to and that is not there
is broken, one that cannot be looked at is not seen. What the checks found is laid over it in
`request_findings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Hop, Host, Named, RequestMap, Route, State, Way
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import (
    gateway_api,
    hosts,
    ingress,
    istio_gateways,
    istio_routes,
    istio_virtual_services,
    request_backends,
)
from gwdoctor.resolve.gateway_api import Listener, Parent
from gwdoctor.resolve.host_index import suffixes
from gwdoctor.resolve.istio_gateways import Server
from gwdoctor.resolve.istio_routes import Destination
from gwdoctor.resolve.istio_virtual_services import Routed
from gwdoctor.resolve.request_backends import Backends, named, named_as
from gwdoctor.resolve.request_spots import Spots

#: What it reads.
KINDS = (
    *gateway_api.ROUTES,
    *gateway_api.PARENT_NEEDS,
    *istio_gateways.GATEWAYS,
    *istio_gateways.READS,
    *istio_virtual_services.READS,
    *request_backends.KINDS,
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
)
#: The name of a host where any may come.
ANY = "*"
_REFUSALS = {
    "KindNotAllowed": "the listener takes no routes of this kind",
    "NamespaceNotAllowed": "the listener takes no routes of this namespace",
    "NoMatchingListenerHostname": "no listener has its hostnames",
}


class Draft:
    """The map while it is made: every station once, in the order in which it is met."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.spots = Spots()
        self.listeners: list[Hop] = []
        self.routes: list[Route] = []
        self.backends = Backends(cluster, self.spots)
        self.ways: dict[str, dict[tuple[int, int], None]] = {}
        self.idle: dict[str, dict[int, None]] = {}  #: listeners of a host that route nothing
        self.with_routes: set[int] = set()
        self._listener_at: dict[object, int] = {}
        self._route_at: dict[object, int] = {}

    def listener(self, key: object, hop: Hop) -> tuple[int, bool]:
        """Its position, and whether it is new."""
        is_new = key not in self._listener_at
        if is_new:
            self._listener_at[key] = len(self.listeners)
            self.listeners.append(hop)
        return self._listener_at[key], is_new

    def route(self, key: object, hop: Hop) -> tuple[int, bool]:
        """Its position, and whether it is new."""
        is_new = key not in self._route_at
        if is_new:
            self._route_at[key] = len(self.routes)
            self.routes.append(Route(hop))
        return self._route_at[key], is_new

    def way(self, host: str, listener: int, route: int) -> None:
        """Requests for a host come to this listener and go to this route."""
        self.ways.setdefault(host.lower() or ANY, {})[listener, route] = None
        self.with_routes.add(listener)

    def unrouted(self, host: str, listener: int) -> None:
        """A listener has this host, and no route takes it there."""
        self.idle.setdefault(host.lower() or ANY, {})[listener] = None

    def leads(self, route: int, backends: Iterable[int]) -> None:
        """Where a route leads, each backend once."""
        self.routes[route].backends = list(dict.fromkeys(backends))

    def hosts(self) -> list[Host]:
        """Every hostname, by name, without a verdict yet."""
        found = []
        for name in sorted(self.ways.keys() | self.idle.keys()):
            ways = [Way(*way) for way in self.ways.get(name, ())]
            ways += [Way(listener) for listener in self.idle.get(name, ())]
            found.append(Host(name, State.OK, ways))
        return found

    def seen(self, kind: Kind) -> Sequence[Resource]:
        """What is seen of a kind; what is not seen is told by those who would lead there."""
        try:
            return self.cluster[kind]
        except OutOfView:
            return ()


def drafted(cluster: Cluster) -> Draft:
    """The map without the findings."""
    draft = Draft(cluster)
    _gateway_api_routes(draft)
    _gateway_api_listeners(draft)
    _istio(draft)
    _ingresses(draft)
    return draft


def finished(draft: Draft) -> RequestMap:
    """The map as plain data."""
    return RequestMap(draft.hosts(), draft.listeners, draft.routes, draft.backends.found)


# --- Gateway API -------------------------------------------------------------------------


def _gateway_api_routes(draft: Draft) -> None:
    for kind in gateway_api.ROUTES:
        for route in draft.seen(kind):
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


def _gateway_api_listeners(draft: Draft) -> None:
    """Listeners that have a name and no route for it."""
    for gateway in draft.seen(kinds.GATEWAY):
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
                    draft.way(one.hostname, position, _unseen_route(draft, hidden))


def _hidden_routes(listener: Listener, cluster: Cluster) -> Iterator[OutOfView]:
    """Why there may be routes of a listener that are not seen."""
    for kind in gateway_api.ROUTES:
        if gateway_api.fits_protocol(listener, kind) and cluster.installed(kind):
            try:
                cluster.every(kind)
            except OutOfView as hidden:
                yield hidden


def _unseen_route(draft: Draft, hidden: OutOfView) -> int:
    hop = Hop(State.UNSEEN, f"{hidden.gap.kind.name}s", says=hidden.gap.reason)
    position, _ = draft.route(("unseen", hop.label, hop.says), hop)
    return position


# --- Istio -------------------------------------------------------------------------------


def _istio(draft: Draft) -> None:
    cluster = draft.cluster
    try:
        workloads = istio_gateways.workloads(cluster)
    except OutOfView as hidden:
        for gateway in draft.seen(kinds.ISTIO_GATEWAY):
            for server in istio_gateways.servers_of(gateway):
                listener = _server(draft, server)
                for name in server.names:
                    draft.way(name, listener, _unseen_route(draft, hidden))
        return
    for workload in workloads:
        for socket in workload.sockets():
            for server in socket.servers:
                if not server.is_listener and istio_virtual_services.section_of(server):
                    _serve(draft, server, workload.namespace)
            for dropped in socket.dropped:
                if not dropped.server.is_listener:
                    _left_out(draft, dropped.server)


def _server(draft: Draft, server: Server) -> int:
    name = server.field.text("name") or server.field.text("port", "name")
    hop = Hop(State.OK, "", f"{name} {server.number}".strip(), named(server.owner))
    position, is_new = draft.listener(server.field, hop)
    if is_new:
        draft.spots.add(server.field, hop, whole=True)
    return position


def _left_out(draft: Draft, server: Server) -> None:
    position = _server(draft, server)
    draft.listeners[position].says = "left out by istiod"
    for name in server.names:
        draft.unrouted(name, position)


def _serve(draft: Draft, server: Server, namespace: str) -> None:
    """The hosts of a server, and the VirtualServices for them on Pods of a namespace."""
    position = _server(draft, server)
    if server.redirects:
        answer, _ = draft.route("redirect", Hop(State.OK, "redirect to HTTPS"))
        for name in server.names:
            if name != ANY:
                draft.way(name, position, answer)
        return
    routed: Sequence[Routed] = ()
    unseen = None
    try:
        routed = istio_virtual_services.routed(server, namespace, draft.cluster)
        draft.cluster.every(kinds.VIRTUAL_SERVICE)
    except OutOfView as hidden:
        unseen = _unseen_route(draft, hidden)
    taken: set[str] = set()
    for one in routed:
        draft.way(one.host, position, _virtual_service(draft, one.route, server, one.host))
        taken |= {one.host, *suffixes(one.host)}
    for name in server.names:
        if name in taken:
            continue
        if unseen is not None:
            draft.way(name, position, unseen)
        elif name != ANY:
            draft.unrouted(name, position)


def _virtual_service(draft: Draft, route: Resource, server: Server, host: str) -> int:
    """A VirtualService as one server reads it: one section, and of TLS the rules for a host."""
    section = istio_virtual_services.section_of(server)
    gateway = (server.owner.namespace, server.owner.name)
    tells_gateways = any(True for _ in istio_virtual_services.match_gateway_refs(route))
    key = (
        route.ref,
        section,
        gateway if tells_gateways else None,
        host if section == "tls" else None,
    )
    hop = Hop(State.OK, "", section if section != "http" else "", named(route))
    position, is_new = draft.route(key, hop)
    if is_new:
        draft.spots.add(route.at("spec", section), hop)
        draft.spots.add(route, hop, whole=True)
        found = [
            destination
            for owner in _with_delegates(route, section, draft.cluster)
            for destination in istio_routes.destinations(owner)
            if destination.section == section
            and destination.weight
            and not destination.is_mirror
            and _is_for(destination, gateway, host)
        ]
        draft.leads(position, map(draft.backends.of_destination, found))
        if not found:
            hop.says = "redirects or answers by itself"
    return position


def _with_delegates(route: Resource, section: str, cluster: Cluster) -> Iterator[Resource]:
    """A VirtualService and those that its HTTP rules delegate to (which cannot delegate again)."""
    yield route
    if section == "http":
        for rule in route.each("spec", "http"):
            name = rule.text("delegate", "name")
            namespace = rule.text("delegate", "namespace") or route.namespace
            try:
                found = cluster.get(kinds.VIRTUAL_SERVICE, namespace, name) if name else None
            except OutOfView:
                continue
            if found is not None:
                yield found


def _is_for(destination: Destination, gateway: tuple[str, str], host: str) -> bool:
    """Whether some match of a rule is for this gateway and, where it asks for SNI, this host."""
    matches = destination.route.each("match")
    return not matches or any(
        _names_gateway(match, destination.owner.namespace, gateway)
        and _takes_host(match.texts("sniHosts"), host)
        for match in matches
    )


def _names_gateway(match: Field, namespace: str, gateway: tuple[str, str]) -> bool:
    wanted = match.texts("gateways")
    return not wanted or any(
        istio_virtual_services.gateway_name(name, namespace) == gateway for name in wanted
    )


def _takes_host(wanted: Sequence[str], host: str) -> bool:
    return not wanted or any(hosts.overlap(name.lower(), host) for name in wanted)


# --- Ingress -----------------------------------------------------------------------------


def _ingresses(draft: Draft) -> None:
    for found in draft.seen(kinds.INGRESS):
        if ingress.is_acme_solver(found):
            continue
        by_host: dict[str, list[ingress.Backend]] = {}
        for backend in ingress.backends(found):
            by_host.setdefault(backend.host, []).append(backend)
        for host, backends in by_host.items():
            _ingress(draft, found, host, backends)


def _ingress(draft: Draft, owner: Resource, host: str, backends: list[ingress.Backend]) -> None:
    secured = [
        entry
        for entry in owner.each("spec", "tls")
        if not entry.texts("hosts") or hosts.sans_cover(entry.texts("hosts"), host)
    ]
    hop = Hop(State.OK, _class(owner, draft.cluster), "HTTPS" if secured else "HTTP", named(owner))
    listener, _ = draft.listener((owner.ref, host), hop)
    for spot in (ingress.class_field(owner), ingress.class_annotation(owner), *secured):
        draft.spots.add(spot, hop)
    answer = Hop(State.OK, "", object=named(owner))
    route, _ = draft.route((owner.ref, host), answer)
    for place in dict.fromkeys(_rule(owner, backend) for backend in backends):
        draft.spots.add(place, answer, whole=True)
    draft.leads(route, (_backend(draft, owner, backend) for backend in backends))
    draft.way(host, listener, route)


def _rule(owner: Resource, backend: ingress.Backend) -> Field:
    """The rule that a backend stands in; the default backend for itself."""
    return owner.at(*backend.field.path[:3]) if backend.path is not None else backend.field


def _backend(draft: Draft, owner: Resource, backend: ingress.Backend) -> int:
    if backend.service:
        return draft.backends.service(owner.namespace, backend.service, backend.port, backend.field)
    return draft.backends.resource(owner.namespace, backend.field)


def _class(owner: Resource, cluster: Cluster) -> str:
    """The class of an Ingress in words, as its controller would read it."""
    name = ingress.class_field(owner).text() or ingress.class_annotation(owner).text()
    if name:
        return f"class {name}"
    try:
        default = ingress.default_class(cluster)
    except OutOfView:
        return "the default class"
    return f"class {default.name} (default)" if default is not None else "no class"
