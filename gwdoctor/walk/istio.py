"""Istio's classic Gateways: the server by port and SNI, its certificate, and what it passes on.

Rules: istio/istio 1.32 pilot/pkg/model/gateway.go and pilot/pkg/networking/core/gateway.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    hosts,
    istio_gateways,
    istio_mesh,
    istio_routes,
    istio_virtual_services,
    services,
)
from gwdoctor.resolve.istio_gateways import Server, Workload
from gwdoctor.walk import backends, http_rules, istio_backends, istio_http, istio_workloads, tls
from gwdoctor.walk.hops import Hop, Near, Way, elsewhere, unseen
from gwdoctor.walk.request import Request

#: What it reads.
KINDS = (
    *istio_gateways.GATEWAYS,
    *istio_gateways.READS,
    *istio_virtual_services.READS,
    kinds.ENVOY_FILTER,
    kinds.AUTHORIZATION_POLICY,
    kinds.SECRET,
    kinds.CERTIFICATE,
)
_TERMINATING = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL")


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way through each gateway workload that listens on the port for the name."""
    if not cluster.may_hold(kinds.ISTIO_GATEWAY) or not cluster.holds(kinds.ISTIO_GATEWAY):
        return
    for workload in istio_gateways.workloads(cluster):
        if any(not server.is_listener for server in workload.servers):
            way = _through(workload, request, cluster)
            if way is not None:
                yield way


def _through(workload: Workload, request: Request, cluster: Cluster) -> Way | None:
    sockets = [s for s in workload.sockets() if s.port == workload.target(request.port)]
    servers = [server for socket in sockets for server in socket.servers]
    if not servers:
        return None
    chosen = choose(servers, request)
    if chosen is None or chosen.is_listener:
        return None
    way = Way(
        "Istio",
        (workload.namespace, tuple(workload.labels.items())),
        _name(workload),
        istio_workloads.addresses(workload),
    )
    way.hops.append(_entry(workload, request))
    way.hops.append(_server(chosen, request))
    name = request.sni if chosen.is_tls else request.host
    way.is_covered = any(n != "*" and hosts.suffix_covers(n, name) for n in chosen.names)
    way.is_named = name in chosen.names
    if chosen.redirects:
        way.answers = True
        if request.is_tls:
            return way
        way.hops.append(
            Hop(
                "route",
                "every plain request is sent to https",
                chosen.field.at("tls", "httpsRedirect"),
            )
        )
        way.redirect = http_rules.to(request, 301, "https", request.host, None, request.path)
        return way
    section = istio_virtual_services.section_of(chosen)
    if chosen.mode in _TERMINATING:
        way.hops += _certificate(chosen, workload, request, cluster)
    way.hops += istio_workloads.policies(workload, cluster)
    peers = [chosen] if chosen.is_tls else [s for s in servers if not s.is_tls and not s.redirects]
    if section == "http":
        _http(way, chosen, peers, workload, request, cluster)
    elif section:
        _bytes(way, chosen, section, workload, request, cluster)
    else:
        says = "AUTO_PASSTHROUGH leads between clusters, by SNI of the form outbound_.port_._.host"
        way.hops.append(Hop("route", says, chosen.field, State.UNSEEN))
    return way


def choose(servers: Sequence[Server], request: Request) -> Server | None:
    """The server whose filter chain takes the connection: by SNI, or the plain one.

    Where only the other sort listens on the port it is returned, as what goes wrong there.
    """
    name = request.sni if request.is_tls else request.host
    fitting = [
        server
        for server in servers
        if any(n == "*" or (name and hosts.suffix_covers(n, name)) for n in server.names)
    ]
    right = [server for server in fitting if server.is_tls == request.is_tls] or fitting
    return max(right, key=lambda server: _specificity(server, name), default=None)


def _specificity(server: Server, name: str) -> tuple[bool, int]:
    fitting = [n for n in server.names if n == "*" or hosts.suffix_covers(n, name)]
    return max((hosts.specificity("" if n == "*" else n) for n in fitting), default=(False, 0))


def _name(workload: Workload) -> str:
    if workload.services:
        return str(workload.services[0].ref)
    told = ", ".join(f"{key}={value}" for key, value in sorted(workload.labels.items()))
    place = f" in {workload.namespace}" if workload.namespace else ""
    return f"Pods {told or 'of every gateway'}{place}"


def _entry(workload: Workload, request: Request) -> Hop:
    target, count = workload.target(request.port), len(workload.pods)
    for service in workload.services:
        port = services.port(service, request.port)
        if port is not None:
            says = f"port {request.port}, to {target} of {count} Pod{'s' * (count != 1)}"
            return Hop("gateway", says, port, spots=(service, *workload.pods))
    if workload.services:
        says = f"no Service of its Pods has port {request.port}: they listen on it themselves"
        hop = Hop("gateway", says, workload.services[0].at("spec", "ports"), spots=workload.pods)
        hop.unverified = "whether clients reach that port"
        return hop
    if not workload.pods:
        return Hop("gateway", "its Pods are not in the picture", state=State.UNSEEN)
    hop = Hop("gateway", "no Service of its Pods is in the picture", spots=workload.pods)
    hop.unverified = "whether clients reach its Pods"
    return hop


def _server(server: Server, request: Request) -> Hop:
    by = "SNI" if server.is_tls else "host"
    name = request.sni if server.is_tls else request.host
    shown = next(
        (
            n
            for n in sorted(server.names, key=len, reverse=True)
            if n == "*" or hosts.suffix_covers(n, name)
        ),
        "*",
    )
    label = server.field.text("name") or server.field.text("port", "name")
    mode = f" {server.mode}" if server.mode else ""
    says = (
        f"{f'{label}, ' if label else ''}port {server.number} {server.protocol}{mode}, "
        f"{'any name' if shown == '*' else shown} by {by}"
    )
    hop = Hop("listener", says, server.field, spots=(server.owner,))
    if server.is_tls and not request.is_tls:
        hop.state = State.BROKEN
        hop.says += "; the request is clear text: the connection is reset"
    elif request.is_tls and not server.is_tls:
        hop.state = State.BROKEN
        hop.says += "; the client begins with TLS, and this port is clear text"
    elif server.is_tls and not request.sni:
        hop.says += "; the client sends no SNI"
    return hop


def _certificate(
    server: Server, workload: Workload, request: Request, cluster: Cluster
) -> list[Hop]:
    if server.mode == "ISTIO_MUTUAL":
        return [
            Hop("certificate", "the mesh's own, of the gateway", server.field.at("tls", "mode"))
        ]
    found = []
    for field, namespace, name in istio_gateways.credential_names(server):
        place = namespace or workload.namespace
        if not place:
            hop = Hop(
                "certificate",
                f"Secret {name} where the gateway's Pods are: not seen",
                field,
                State.UNSEEN,
            )
            return [hop]
        found.append((field, place, name))
    if not found:
        if server.field.has("tls", "serverCertificate"):
            return [
                Hop(
                    "certificate",
                    "a file in the gateway's Pods, which is not looked at",
                    server.field.at("tls", "serverCertificate"),
                    State.UNSEEN,
                )
            ]
        return [Hop("certificate", "the server names none", server.field.at("tls"), State.BROKEN)]
    return tls.shown(found, request.sni or request.host, cluster)


# --- HTTP --------------------------------------------------------------------------------


def _http(
    way: Way,
    chosen: Server,
    peers: Iterable[Server],
    workload: Workload,
    request: Request,
    cluster: Cluster,
) -> None:
    by_host: dict[str, dict[Resource, Server]] = defaultdict(dict)
    try:
        for server in peers:
            if istio_virtual_services.section_of(server) != "http":
                continue
            for one in istio_virtual_services.routed(server, workload.namespace, cluster):
                name = one.host.lower()
                if one.route.ref.kind != kinds.VIRTUAL_SERVICE:
                    continue
                if name == "*" or hosts.suffix_covers(name, request.host):
                    by_host["" if name == "*" else name].setdefault(one.route, server)
    except OutOfView as hidden:
        way.hops.append(unseen("route", hidden))
        return
    hostname = http_rules.best_host(by_host, request.host)
    if hostname is None:
        way.hops.append(_unrouted(chosen, request, cluster))
        return
    way.is_named = way.is_named or bool(hostname)
    routes = sorted(by_host[hostname], key=istio_mesh.age)
    tried = list(istio_http.in_order(routes, by_host[hostname], workload, request, cluster))
    winner = next((one for one in tried if one.passes), None)
    if winner is None:
        says = f"no rule for {hostname or 'any host'} takes {request.method} {request.path}: 404"
        wider = [name for name in by_host if name != hostname]
        if wider:
            says += f"; the rules for {wider[0] or 'any host'} are hidden by the more specific name"
        hop = Hop("route", says, routes[0].at("spec", "http"), State.BROKEN, spots=(routes[0],))
        if any(one.passes is None for one in tried):
            hop.state, hop.unverified = State.UNSEEN, "an expression could not be evaluated here"
        way.hops.append(hop)
        return
    way.answers = True
    says = f"{hostname or 'any host'}, rule {winner.number}: {winner}"
    if len(routes) > 1:
        says += f"; {len(routes)} VirtualServices share the host, the oldest first"
    hop = Hop("route", says, winner.rule, spots=(winner.owner,))
    if any(one.passes is None for one in tried[: tried.index(winner)]):
        hop.unverified = "an expression of a rule before it could not be evaluated here"
    way.hops.append(hop)
    istio_http.take(way, winner, request, workload.namespace, chosen.number, cluster)


def _unrouted(chosen: Server, request: Request, cluster: Cluster) -> Hop:
    says = f"no VirtualService at this server has {request.host}: 404"
    hidden = elsewhere(cluster, kinds.VIRTUAL_SERVICE)
    if hidden is not None:
        hop = unseen("route", hidden)
        hop.says = f"{says} ({hop.says})"
        return hop
    return Hop("route", says, chosen.field.at("hosts"), State.BROKEN)


# --- TLS and TCP -------------------------------------------------------------------------


def _bytes(
    way: Way,
    server: Server,
    section: str,
    workload: Workload,
    request: Request,
    cluster: Cluster,
) -> None:
    gateway = (server.owner.namespace, server.owner.name)
    try:
        routes = list(
            dict.fromkeys(
                one.route
                for one in istio_virtual_services.routed(server, workload.namespace, cluster)
            )
        )
    except OutOfView as hidden:
        way.hops.append(unseen("route", hidden))
        return
    found: list[tuple[tuple[bool, int], Resource, Field]] = []
    for route in sorted(routes, key=istio_mesh.age):
        for rule in route.each("spec", section):
            for match in rule.each("match") or (rule.at("match"),):
                if not istio_http.is_for(match, route, gateway, workload, request):
                    continue
                names = match.texts("sniHosts") if section == "tls" else ("*",)
                fitting = [n for n in names if n == "*" or hosts.suffix_covers(n, request.sni)]
                if fitting:
                    best = max(hosts.specificity("" if n == "*" else n) for n in fitting)
                    found.append((best, route, rule))
    if not found:
        asked = request.sni or request.host
        sort = "sniHosts of a tls rule" if section == "tls" else "tcp rule"
        says = f"no {sort} takes {asked}: the connection is reset"
        way.hops.append(
            Hop("route", says, server.field.at("hosts"), State.BROKEN, spots=tuple(routes))
        )
        return
    _, route, rule = max(found, key=lambda item: item[0])
    way.answers = True
    passed = "TLS passes through" if section == "tls" else "bytes are passed on"
    way.hops.append(Hop("route", f"{section} rule: {passed}", rule, spots=(route,)))
    targets = [
        istio_http.target_of(one, cluster, server.number)
        for one in istio_routes.destinations(route)
        if one.route == rule and not one.is_mirror
    ]
    is_tls = request.is_tls and server.mode not in _TERMINATING
    caller = istio_backends.caller(workload.namespace, cluster, is_tcp=True, is_tls=is_tls)
    way.branches = backends.branches(targets, caller, cluster)


# --- what comes near ---------------------------------------------------------------------


def near(request: Request, cluster: Cluster) -> Iterator[Near]:
    """VirtualServices with the host that no server takes, and servers that have it elsewhere."""
    if not cluster.may_hold(kinds.ISTIO_GATEWAY):
        return
    gateways = {
        (gateway.namespace, gateway.name): gateway for gateway in cluster.seen(kinds.ISTIO_GATEWAY)
    }
    for gateway in gateways.values():
        for server in istio_gateways.servers_of(gateway):
            name = next(
                (n for n in server.names if n != "*" and hosts.suffix_covers(n, request.host)), ""
            )
            if name and server.number != request.port:
                says = (
                    f"server {server.field.text('port', 'name')} has {name} on port {server.number}"
                )
                yield Near(server.field, f"{says}, not {request.port}")
    for route in cluster.seen(kinds.VIRTUAL_SERVICE):
        names = istio_virtual_services.hosts_of(route)
        if not any(n != "*" and hosts.suffix_covers(n, request.host) for n in names):
            continue
        bound = [ref for ref in istio_virtual_services.gateway_refs(route) if ref.name is not None]
        if not bound:
            yield Near(route, f"has {request.host}, for the mesh only: it names no gateway")
        for reference in bound:
            owner = gateways.get(reference.name or ("", ""))
            if owner is None:
                told = reference.field.text()
                yield Near(reference.field, f"has {request.host}, and Gateway {told} is not there")
            elif not any(
                hosts.overlap(n, request.host)
                for server in istio_gateways.servers_of(owner)
                for n in server.names
            ):
                says = f"has {request.host}, and no server of {owner.ref} takes that name"
                yield Near(reference.field, says)


def names(cluster: Cluster) -> Iterator[tuple[str, Field]]:
    """Every host name that servers and VirtualServices have, and where."""
    for gateway in cluster.seen(kinds.ISTIO_GATEWAY):
        for server in istio_gateways.servers_of(gateway):
            for name in server.names:
                if name != "*":
                    yield name, server.field
    for route in cluster.seen(kinds.VIRTUAL_SERVICE):
        for spot in route.each("spec", "hosts"):
            if spot.text() not in ("", "*") and istio_virtual_services.gateway_refs(route):
                yield spot.text().lower(), spot
