"""Gateways of Gateway API: listener, certificate, route, backends.

Rules: facts of gateway-api 1.6 (listener isolation, hostname intersection, precedence), Envoy
Gateway 1.9, Istio 1.32. Kong serves its Gateways in its own way: see `kong`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import (
    aws,
    envoy_gateway,
    gateway_api,
    grants,
    hosts,
    istio_gateways,
    istio_mesh,
    kong,
    listener_conflicts,
)
from gwdoctor.resolve.gateway_api import Listener, Parent
from gwdoctor.walk import backends, http_rules, istio_backends, tls
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, Near, State, Way, unseen
from gwdoctor.walk.http_rules import Match
from gwdoctor.walk.request import Request

#: What it reads.
KINDS = (
    *gateway_api.ROUTES,
    *gateway_api.PARENT_NEEDS,
    *istio_gateways.READS,
    *envoy_gateway.POLICIES,
    kinds.ENVOY_PROXY,
    kinds.BACKEND_TLS_POLICY,
    kinds.REFERENCE_GRANT,
    kinds.SECRET,
    kinds.CERTIFICATE,
)
_HTTP_ROUTES = (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
_REFUSALS = {
    "ParentNotFound": "its parent does not exist",
    "NoMatchingParent": "its sectionName or port picks no listener",
    "KindNotAllowed": "the listener takes no routes of this kind",
    "NamespaceNotAllowed": "the listener takes no routes of this namespace",
    "NoMatchingListenerHostname": "no listener that it names has its hostnames",
}


@dataclass(frozen=True, slots=True)
class Attachments:
    """The routes by listener, those that are refused, and those whose parents are hidden."""

    at: Mapping[Field, Sequence[Resource]]
    refused: Sequence[Parent]
    hidden: Sequence[tuple[Resource, OutOfView]]
    unread: Sequence[OutOfView] = field(default_factory=tuple)


def attachments(cluster: Cluster) -> Attachments:
    """Where every route of Gateway API is served, once a walk."""
    return cluster.derive(_attachments)


def _attachments(cluster: Cluster) -> Attachments:
    at: dict[Field, dict[Resource, None]] = defaultdict(dict)
    refused: list[Parent] = []
    hidden: list[tuple[Resource, OutOfView]] = []
    unread: list[OutOfView] = []
    for kind in gateway_api.ROUTES:
        for route in _seen(cluster, kind, unread):
            try:
                parents = gateway_api.parents(route, cluster)
            except OutOfView as gap:
                hidden.append((route, gap))
                continue
            for parent in parents:
                served = parent.attached
                if not served and gateway_api.accepted(parent):
                    served = parent.selected  # its controller takes it, whatever we think
                for one in served:
                    at[one.field][route] = None
                if not served:
                    refused.append(parent)
    return Attachments(
        {spot: tuple(routes) for spot, routes in at.items()}, refused, hidden, unread
    )


def _seen(cluster: Cluster, kind: Kind, unread: list[OutOfView]) -> Sequence[Resource]:
    """What is seen of a kind; a gap that may hide more of it is noted."""
    if not cluster.may_hold(kind):
        return ()
    try:
        found = cluster[kind]
    except OutOfView as gap:
        unread.append(gap)
        return ()
    unread += [
        OutOfView(gap) for gap in cluster.gaps if gap.kind == kind and gap.claimed and not gap.name
    ]
    return found


# --- planes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Gateways that one data plane serves together: one, unless Envoy Gateway merges them."""

    gateways: tuple[Resource, ...]
    controller: str
    listeners: tuple[Listener, ...]

    @property
    def first(self) -> Resource:
        """The oldest of them."""
        return self.gateways[0]

    @property
    def flavour(self) -> str:
        """Whose order of routes it follows."""
        if gateway_api.is_envoy_gateway(self.controller):
            return "envoy"
        return "istio" if gateway_api.is_istio(self.controller) else "other"

    @property
    def system(self) -> str:
        """What runs it, in words."""
        names = {"envoy": "Envoy Gateway", "istio": "Istio"}
        other = f"Gateway API ({self.controller or 'controller not known'})"
        return names.get(self.flavour, other)


def planes(cluster: Cluster) -> Sequence[Plane]:
    """Every data plane but Kong's."""
    return cluster.derive(_planes)


def _planes(cluster: Cluster) -> Sequence[Plane]:
    if not cluster.may_hold(kinds.GATEWAY):
        return ()
    groups: dict[object, list[Resource]] = defaultdict(list)
    controllers: dict[object, str] = {}
    ordered = sorted(cluster[kinds.GATEWAY], key=lambda g: (g.created or "~", g.ref))
    for gateway in ordered:
        if kong.is_gateway_class(gateway.text("spec", "gatewayClassName"), cluster):
            continue
        controller = controller_of(gateway, cluster)
        key: object = gateway.ref
        if gateway_api.is_envoy_gateway(controller) and _merges(gateway, cluster):
            key = gateway.text("spec", "gatewayClassName")
        groups[key].append(gateway)
        controllers[key] = controller
    return tuple(
        Plane(
            tuple(members),
            controllers[key],
            tuple(one for gateway in members for one in listeners_of(gateway, cluster)),
        )
        for key, members in groups.items()
    )


def controller_of(gateway: Resource, cluster: Cluster) -> str:
    """The controller; where classes cannot be seen, that of the usual name."""
    name = gateway.text("spec", "gatewayClassName")
    try:
        return gateway_api.controller(gateway, cluster)
    except OutOfView:
        usual = {
            "istio": "istio.io/gateway-controller",
            "eg": "gateway.envoyproxy.io/gatewayclass-controller",
        }
        return usual.get(name, "")


def _merges(gateway: Resource, cluster: Cluster) -> bool:
    try:
        return envoy_gateway.merges_gateways(envoy_gateway.proxy(gateway, cluster))
    except OutOfView:
        return False


def listeners_of(gateway: Resource, cluster: Cluster) -> tuple[Listener, ...]:
    """Its listeners, with those of ListenerSets where they can be seen."""
    try:
        return gateway_api.all_listeners(gateway, cluster)
    except OutOfView:
        return gateway_api.listeners(gateway)


# --- the walk ----------------------------------------------------------------------------


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way of a request through each data plane that listens on its port for its name."""
    for plane in planes(cluster):
        way = _through(plane, request, cluster)
        if way is not None:
            yield way


def _through(plane: Plane, request: Request, cluster: Cluster) -> Way | None:
    on_port = [one for one in plane.listeners if one.port == request.port]
    if not on_port:
        return None
    ends_before = any(_fed_by_tls(one, cluster) for one in on_port)
    listener = choose(on_port, request, ends_before=ends_before)
    if listener is None:
        return None
    owner = gateway_api.gateway_of(listener.owner, cluster) or plane.first
    way = Way(plane.system, (plane.first.ref,), str(owner.ref), addresses(owner, cluster))
    way.hops.append(_entry(owner, plane, cluster))
    if request.is_tls and listener.protocol == "HTTP":
        way.hops.append(_balancer(listener, owner, request, cluster))
    way.hops.append(_listener(listener, on_port, request, cluster))
    way.is_named = bool(listener.hostname)
    if listener.tls_mode == "Passthrough" or listener.protocol in ("TLS", "TCP"):
        _pass_through(way, listener, request, plane, cluster)
        return way
    if listener.tls_mode == "Terminate":
        way.hops += certificate(listener, request, cluster)
    way.hops += _policies(listener, owner, plane, cluster)
    _route(way, listener, request, plane, owner, cluster)
    return way


def _fed_by_tls(listener: Listener, cluster: Cluster) -> bool:
    """Whether a load balancer is meant to end TLS in front of a clear-text listener."""
    if listener.protocol != "HTTP":
        return False
    try:
        owner = gateway_api.gateway_of(listener.owner, cluster)
        return owner is not None and aws.fed_by_tls_port(listener, owner, cluster)
    except OutOfView:
        return False


def choose(
    listeners: Sequence[Listener], request: Request, *, ends_before: bool = False
) -> Listener | None:
    """The listener of a port that takes a request: of those that fit, the most specific name.

    By SNI on TLS ports, by Host on others. A request in clear text to a port that speaks TLS
    (or the other way round) is shown where the name fits: that is what goes wrong there.
    """
    name = request.sni if request.is_tls and not ends_before else request.host
    fitting = [
        one
        for one in listeners
        if one.protocol != "UDP" and (not one.hostname or hosts.suffix_covers(one.hostname, name))
    ]
    spoken = ("HTTPS", "TLS", "TCP") if request.is_tls and not ends_before else ("HTTP", "TCP")
    right = [one for one in fitting if one.protocol in spoken] or fitting
    return max(right, key=lambda one: http_rules.specificity(one.hostname), default=None)


def _entry(gateway: Resource, plane: Plane, cluster: Cluster) -> Hop:
    name = gateway.text("spec", "gatewayClassName")
    says = f"class {name}"
    hop = Hop("gateway", says, gateway.at("spec", "gatewayClassName"), spots=(gateway,))
    try:
        found = gateway_api.gateway_class(gateway, cluster)
    except OutOfView as hidden:
        hop.unverified = f"its class is not seen ({hidden.gap.reason})"
    else:
        if found is None:
            hop.state, hop.says = State.BROKEN, f"class {name} does not exist: nobody runs it"
        else:
            hop.spots += (found,)
    try:
        proxy = envoy_gateway.proxy(gateway, cluster) if plane.flavour == "envoy" else None
        service = (
            envoy_gateway.service(gateway, proxy, cluster) if plane.flavour == "envoy" else None
        )
    except OutOfView:
        return hop
    hop.spots += tuple(one for one in (proxy, service) if one is not None)
    return hop


def addresses(gateway: Resource, cluster: Cluster) -> tuple[str, ...]:
    """Where its status, or that of Envoy Gateway's Service, says that it is reached."""
    told = [entry.text("value") for entry in gateway.each("status", "addresses")]
    if not told:
        try:
            proxy = envoy_gateway.proxy(gateway, cluster)
        except OutOfView:
            proxy = None
        if gateway_api.is_envoy_gateway(controller_of(gateway, cluster)):
            service = envoy_gateway.service(gateway, proxy, cluster)
            told = list(of_balancer(service)) if service is not None else []
    return tuple(dict.fromkeys(address for address in told if address))


def of_balancer(service: Resource) -> tuple[str, ...]:
    """The addresses that a load balancer gave a Service, and its external IPs."""
    given = [
        entry.text(key)
        for entry in service.each("status", "loadBalancer", "ingress")
        for key in ("ip", "hostname")
    ]
    return tuple(address for address in (*given, *service.texts("spec", "externalIPs")) if address)


def _balancer(listener: Listener, owner: Resource, request: Request, cluster: Cluster) -> Hop:
    """What stands in front of a clear-text listener that https clients come to."""
    try:
        found = aws.balancer(owner, cluster)
    except OutOfView as hidden:
        return unseen("load balancer", hidden)
    port = aws.port_of(found, listener) if found is not None else None
    if found is None or port is None or not found.as_meant().ends_tls(port):
        says = (
            f"the client begins with TLS, and port {listener.port} is clear text (HTTP): nothing "
            "that is seen ends TLS in front of it"
        )
        return Hop("tls", says, listener.field.at("protocol"), State.BROKEN)
    spot = found.as_meant().where("ssl-cert")
    spots = (found.service,) if found.service is not None else ()
    if found.ends_tls(port):
        hop = Hop("load balancer", f"the NLB ends TLS on port {listener.port}", spot, spots=spots)
        hop.unverified = "its certificate is in AWS and is not looked at"
        return hop
    says = f"the NLB is meant to end TLS on port {listener.port} and does not"
    return Hop("load balancer", says, spot, State.BROKEN, spots=spots)


def _listener(
    listener: Listener, on_port: Sequence[Listener], request: Request, cluster: Cluster
) -> Hop:
    by = "SNI" if request.is_tls and listener.protocol != "HTTP" else "host"
    name = listener.hostname or "any name"
    says = f"{listener.name or 'unnamed'}, port {listener.port} {listener.protocol}, {name} by {by}"
    others = [one for one in on_port if one is not listener and one.field != listener.field]
    wider = [
        one for one in others if not one.hostname or hosts.suffix_covers(one.hostname, request.host)
    ]
    if wider:
        says += f"; more specific than {', '.join(one.name for one in wider[:3])}"
    hop = Hop("listener", says, listener.field, spots=(listener.owner,))
    if listener.protocol in ("HTTPS", "TLS") and not request.is_tls:
        hop.state = State.BROKEN
        hop.says += "; the request is clear text: 400 or a reset"
        return hop
    for conflict in listener_conflicts.conflicts(cluster) if _can_compare(cluster) else ():
        if conflict.loser.field == listener.field:
            hop.state = State.BROKEN
            hop.says += f"; it loses its port to {conflict.winner.name} ({conflict.reason})"
            return hop
    for kind in ("Accepted", "Programmed"):
        said = gateway_api.listener_condition(listener, kind)
        if said is not None and said.text("status") == "False":
            hop.state = State.BROKEN
            hop.says += f"; {kind} is False: {said.text('reason')}"
            break
    return hop


def _can_compare(cluster: Cluster) -> bool:
    try:
        listener_conflicts.conflicts(cluster)
    except OutOfView:
        return False
    return True


def certificate(listener: Listener, request: Request, cluster: Cluster) -> list[Hop]:
    """The certificates of a listener that ends TLS."""
    spot = listener.field.at("tls")
    references = list(listener.field.each("tls", "certificateRefs"))
    if not references:
        options = listener.field.has("tls", "options")
        says = "the listener names none" + ("; its options may, to its controller" * options)
        return [Hop("certificate", says, spot, State.UNSEEN if options else State.BROKEN)]
    found: list[tuple[Field, str, str]] = []
    refused: list[Hop] = []
    owner = listener.owner
    for reference in references:
        kind = Kind(reference.text("kind") or "Secret", reference.text("group"))
        namespace = reference.text("namespace") or owner.namespace
        name = reference.text("name")
        if kind != kinds.SECRET:
            refused.append(
                Hop("certificate", f"{kind} {name} is not read", reference, State.UNSEEN)
            )
            continue
        try:
            granted = grants.permits(
                cluster, owner.ref.kind, owner.namespace, kinds.SECRET, namespace, name
            )
        except OutOfView as hidden:
            refused.append(unseen("grant", hidden))
            granted = True
        if not granted:
            says = f"no ReferenceGrant in {namespace} lets this {owner.ref.kind.name} use Secret {name}"
            refused.append(Hop("certificate", says, reference, State.BROKEN))
        found.append((reference, namespace, name))
    return [*refused, *tls.shown(found, request.sni or request.host, cluster)]


def _policies(listener: Listener, owner: Resource, plane: Plane, cluster: Cluster) -> Iterator[Hop]:
    """Envoy Gateway's policies for the Gateway: named, not evaluated."""
    if plane.flavour != "envoy":
        return
    try:
        policy = envoy_gateway.client_policy(listener, owner, cluster)
    except OutOfView as hidden:
        if hidden.gap.claimed:
            yield unseen("policy", hidden)
        policy = None
    if policy is not None:
        yield _policy(policy)
    yield from _targeting(owner, listener.name, cluster)


def _targeting(target: Resource, section: str, cluster: Cluster) -> Iterator[Hop]:
    for kind in envoy_gateway.POLICIES:
        if kind == kinds.CLIENT_TRAFFIC_POLICY or not cluster.may_hold(kind):
            continue
        try:
            by_target = envoy_gateway.policies_by_target(kind, cluster)
        except OutOfView:
            continue
        ref = target.ref
        for part in dict.fromkeys((section, "")):
            named = by_target.get(envoy_gateway.Target(ref.kind, ref.namespace, ref.name, part), ())
            if named:
                yield _policy(named[0])
                break


def _policy(policy: Resource) -> Hop:
    parts = [key for key, _ in policy.entries("spec") if not key.startswith("target")]
    hop = Hop("policy", f"in force: {', '.join(parts) or 'nothing'}", policy)
    hop.unverified = "what a policy does to this request is not evaluated"
    return hop


def _route(
    way: Way,
    listener: Listener,
    request: Request,
    plane: Plane,
    owner: Resource,
    cluster: Cluster,
) -> None:
    """The rule that takes the request, its filters, and where it leads."""
    known = attachments(cluster)
    by_name: dict[str, list[Resource]] = defaultdict(list)
    for route in known.at.get(listener.field, ()):
        if route.ref.kind in _HTTP_ROUTES:
            shared = gateway_api.shared_hostnames(listener, route)
            fitting = http_rules.best_host(shared, request.host)
            if fitting is not None:
                by_name[fitting].append(route)
    hostname = http_rules.best_host(by_name, request.host)
    hidden = _may_hide(listener, owner, known)
    if hostname is None:
        says = f"no route at this listener has {request.host}"
        way.hops.append(_no_route(says, listener, hidden))
        return
    way.is_named = way.is_named or bool(hostname)
    tried = [m for route in by_name[hostname] for m in http_rules.matches(route, hostname, request)]
    tried.sort(key=lambda match: match.order(plane.flavour))
    winner = next((match for match in tried if match.passes), None)
    if winner is None:
        wider = _under_wider(by_name, hostname, request, plane)
        says = f"no rule for {hostname or 'any host'} takes {request.method} {request.path}: 404"
        if wider is not None:
            says += (
                f"; {wider.route.ref} would, for {wider.hostname or 'any host'}, "
                "but the more specific name hides it"
            )
        hop = _no_route(says, listener, hidden)
        nearest = by_name[hostname][0]
        hop.field = nearest.at("spec", "rules")
        if any(match.passes is None for match in tried):
            hop.state, hop.unverified = State.UNSEEN, _EXPRESSION
        way.hops.append(hop)
        return
    _taken(way, winner, tried, listener, request, plane, owner, cluster)


_EXPRESSION = "a regular expression could not be evaluated here"


def _no_route(says: str, listener: Listener, hidden: OutOfView | None) -> Hop:
    if hidden is not None:
        hop = unseen("route", hidden)
        hop.says = f"{says} that is seen ({hop.says})"
        return hop
    return Hop("route", says, listener.field, State.BROKEN)


def _may_hide(listener: Listener, owner: Resource, known: Attachments) -> OutOfView | None:
    """Why there may be routes of a listener that are not seen."""
    for gap in known.unread:
        if gateway_api.fits_protocol(listener, gap.gap.kind):
            return gap
    return None


def _under_wider(
    by_name: Mapping[str, Sequence[Resource]], hostname: str, request: Request, plane: Plane
) -> Match | None:
    """The match under a less specific name that would have taken the request."""
    others = [
        match
        for name, routes in by_name.items()
        if name != hostname
        for route in routes
        for match in http_rules.matches(route, name, request)
        if match.passes
    ]
    return min(others, key=lambda match: match.order(plane.flavour), default=None)


def _taken(
    way: Way,
    winner: Match,
    tried: Sequence[Match],
    listener: Listener,
    request: Request,
    plane: Plane,
    owner: Resource,
    cluster: Cluster,
) -> None:
    way.answers = True
    route = winner.route
    hop = Hop("route", _said(winner, tried), winner.rule, spots=(route,))
    hop.unverified = _doubt(winner, tried, plane)
    way.hops.append(hop)
    if plane.flavour == "envoy":
        way.hops += _targeting(route, winner.rule.text("name"), cluster)
    scheme = "https" if request.is_tls else "http"
    seen_scheme = "https" if listener.tls_mode else "http"
    found = http_rules.redirect_of(winner, request, seen_scheme, listener.port)
    if found is not None:
        if scheme != seen_scheme and found.to is not None and not _says_scheme(winner):
            hop.unverified = "which scheme the proxy takes the request for"
        way.redirect = found
        return
    way.hops += http_rules.filters(winner, request, cluster)
    targets = [
        Target(one.field, one.namespace, one.name, one.port, one.weight, one.kind, referrer=route)
        for one in gateway_api.backend_refs(route)
        if one.rule == winner.rule and not one.is_mirror
    ]
    if not targets or not any(target.weight for target in targets):
        says = "it names no backend: 500" if not targets else "all weights are 0: 500"
        way.hops.append(Hop("backend", says, winner.rule, State.BROKEN))
        if not targets:
            return
    way.branches = backends.branches(targets, caller(plane, owner, route, cluster), cluster)


def _says_scheme(match: Match) -> bool:
    return any(step.has("requestRedirect", "scheme") for step in match.rule.each("filters"))


def _said(winner: Match, tried: Sequence[Match]) -> str:
    says = f"rule {winner.number}: {winner}"
    if winner.hostname:
        says = f"{winner.hostname}, {says}"
    behind = [m for m in tried if m.passes and m.rule != winner.rule]
    names = list(
        dict.fromkeys(
            f"rule {m.number}" if m.route == winner.route else f"{m.route.ref} rule {m.number}"
            for m in behind
        )
    )
    if names:
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        says += f"; before {', '.join(names[:2])}{more}"
    return says


def _doubt(winner: Match, tried: Sequence[Match], plane: Plane) -> str:
    """What is not certain about who wins."""
    before = tried[: tried.index(winner)]
    if any(match.passes is None for match in before):
        return _EXPRESSION
    kinds_of_paths = {m.path_type for m in tried if m.passes}
    if (
        plane.flavour == "other"
        and "RegularExpression" in kinds_of_paths
        and len(kinds_of_paths) > 1
    ):
        return "where regular expressions stand among paths is for the controller to choose"
    return ""


def caller(plane: Plane, gateway: Resource, route: Resource, cluster: Cluster) -> Caller:
    """Who calls the backends of a Gateway, and what it speaks."""
    if plane.flavour == "istio":
        return istio_backends.caller(gateway.namespace, cluster, is_tcp=False)
    in_mesh: bool | None = None
    if plane.flavour == "envoy":
        labels = {
            "gateway.envoyproxy.io/owning-gateway-name": gateway.name,
            "gateway.envoyproxy.io/owning-gateway-namespace": gateway.namespace,
        }
        try:
            pods = cluster.select(kinds.POD, labels)
        except OutOfView:
            pods = ()
        if pods:
            in_mesh = {"none": False, "all": True}.get(istio_mesh.membership(pods))

    def speaks(service: Resource, port: Field) -> Hop:
        return _protocol(service, port, route, cluster)

    return Caller(speaks, in_mesh)


def _protocol(service: Resource, port: Field, route: Resource, cluster: Cluster) -> Hop:
    """BackendTLSPolicy, then appProtocol; gRPC by the kind of the route."""
    policies: Sequence[Resource] = ()
    try:
        policies = kong.tls_policies(cluster).get((service.namespace, service.name), ())
    except OutOfView:
        policies = ()
    for policy in policies:
        for target in policy.each("spec", "targetRefs"):
            if target.text("name") == service.name and target.text("sectionName") in (
                "",
                port.text("name"),
            ):
                hop = backends.protocol(
                    f"TLS, as {policy.ref} says", service, port, cluster, tls=True
                )
                hop.spots += (policy,)
                return hop
    declared = port.text("appProtocol")
    if declared in ("kubernetes.io/h2c",) or route.ref.kind == kinds.GRPC_ROUTE:
        return backends.protocol("HTTP/2 in clear text", service, port, cluster, tls=False)
    if declared in ("https", "kubernetes.io/wss"):
        hop = Hop("protocol", f"appProtocol {declared}, without a BackendTLSPolicy", port)
        hop.unverified = "what this controller speaks to such a port"
        return hop
    return backends.protocol("HTTP in clear text", service, port, cluster, tls=False)


# --- TLS and TCP routes ------------------------------------------------------------------


def _pass_through(
    way: Way, listener: Listener, request: Request, plane: Plane, cluster: Cluster
) -> None:
    """A connection that is passed on: by SNI (TLSRoute), or whatever it is (TCPRoute)."""
    if listener.tls_mode == "Terminate":
        way.hops += certificate(listener, request, cluster)
    known = attachments(cluster)
    routes = known.at.get(listener.field, ())
    named: dict[str, list[Resource]] = defaultdict(list)
    for route in routes:
        if route.ref.kind in (kinds.TLS_ROUTE, kinds.TCP_ROUTE):
            shared = gateway_api.shared_hostnames(listener, route)
            fitting = http_rules.best_host(shared, request.sni or request.host)
            if fitting is not None:
                named[fitting].append(route)
    best = http_rules.best_host(named, request.sni or request.host)
    if best is None:
        says = (
            f"no route at this listener has {request.sni or request.host}: the connection is reset"
        )
        way.hops.append(_no_route(says, listener, _may_hide(listener, plane.first, known)))
        return
    way.is_named = way.is_named or bool(best)
    way.answers = True
    route = min(named[best], key=lambda r: (r.created or "~", r.namespace, r.name))
    rules = route.each("spec", "rules")
    field = rules[0] if rules else route.at("spec", "rules")
    sort = "TLS passes through" if listener.tls_mode == "Passthrough" else "bytes are passed on"
    way.hops.append(Hop("route", f"{best or 'any name'}: {sort}", field, spots=(route,)))
    targets = [
        Target(one.field, one.namespace, one.name, one.port, one.weight, one.kind, referrer=route)
        for one in gateway_api.backend_refs(route)
        if one.rule == field
    ]

    def speaks(service: Resource, port: Field) -> Hop:
        tls_goes_on = request.is_tls and listener.tls_mode != "Terminate"
        says = "TLS of the client" if tls_goes_on else "what the client sends"
        if not request.is_tls and not tls_goes_on:
            return Hop("protocol", says, port)
        return backends.protocol(says, service, port, cluster, tls=tls_goes_on)

    if not targets:
        way.hops.append(Hop("backend", "it names no backend", field, State.BROKEN))
    way.branches = backends.branches(targets, Caller(speaks), cluster)


# --- what comes near ---------------------------------------------------------------------


def near(request: Request, cluster: Cluster) -> Iterator[Near]:
    """Routes with the host that are refused, and listeners that have it on another port."""
    known = attachments(cluster)
    for parent in known.refused:
        names = parent.route.texts("spec", "hostnames")
        if any(hosts.suffix_covers(name, request.host) for name in names):
            reason = gateway_api.refusal(parent, cluster)
            target = parent.field.text("name")
            says = f"has {request.host} and is not attached to {target}: {_REFUSALS.get(reason, reason)}"
            yield Near(parent.field, says)
    for route, hidden in known.hidden:
        names = route.texts("spec", "hostnames")
        if any(hosts.suffix_covers(name, request.host) for name in names):
            yield Near(
                route, f"has {request.host}; whether it is attached is not seen ({hidden.gap})"
            )
    for plane in planes(cluster):
        for listener in plane.listeners:
            for route in known.at.get(listener.field, ()) if listener.port != request.port else ():
                names = route.texts("spec", "hostnames")
                if any(hosts.suffix_covers(name, request.host) for name in names):
                    says = f"has {request.host}, at listener {listener.name} (port {listener.port})"
                    yield Near(route, says)
            if (
                listener.port != request.port
                and listener.hostname
                and hosts.suffix_covers(listener.hostname, request.host)
            ):
                says = f"listener {listener.name} has {listener.hostname} on port {listener.port}"
                yield Near(listener.field, f"{says}, not {request.port}")


def names(cluster: Cluster) -> Iterator[tuple[str, Field]]:
    """Every host name that listeners and routes have, and where."""
    for plane in planes(cluster):
        for listener in plane.listeners:
            if listener.hostname:
                yield listener.hostname.lower(), listener.field
    for kind in (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE, kinds.TLS_ROUTE):
        for route in _seen(cluster, kind, []):
            for spot in route.each("spec", "hostnames"):
                if spot.text():
                    yield spot.text().lower(), spot
