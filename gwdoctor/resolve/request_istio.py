"""The map of requests through Istio: servers and VirtualServices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Hop, State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts, istio_gateways, istio_routes, istio_virtual_services
from gwdoctor.resolve.host_index import suffixes
from gwdoctor.resolve.istio_gateways import Server
from gwdoctor.resolve.istio_routes import Destination
from gwdoctor.resolve.istio_virtual_services import Routed
from gwdoctor.resolve.request_backends import named
from gwdoctor.resolve.request_draft import ANY, Draft


def add(draft: Draft) -> None:
    """Classic Gateways; those of Gateway API that Istio runs are in `request_gateway_api`."""
    cluster = draft.cluster
    try:
        workloads = istio_gateways.workloads(cluster)
    except OutOfView as hidden:
        for gateway in draft.cluster.seen(kinds.ISTIO_GATEWAY):
            for server in istio_gateways.servers_of(gateway):
                listener = _server(draft, server)
                for name in server.names:
                    draft.way(name, listener, draft.unseen_route(hidden))
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
        unseen = draft.unseen_route(hidden)
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
