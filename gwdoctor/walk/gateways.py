"""Gateways of Gateway API: listener, certificate, route, backends.

Rules: gateway-api 1.6 apis/v1 and its conformance suite (listener isolation, intersection of
hostnames, precedence of matches); Envoy Gateway 1.9; Istio 1.32. Kong serves its Gateways in its
own way: see `kong`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    aws,
    envoy_gateway,
    gateway_api,
    hosts,
    istio_gateways,
    istio_mesh,
    kong,
    listener_conflicts,
)
from gwdoctor.resolve.gateway_api import Listener
from gwdoctor.walk import (
    backends,
    http_rules,
    istio_backends,
    istio_workloads,
    passthrough,
    planes,
    tls,
)
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, Way, unseen
from gwdoctor.walk.http_rules import Match
from gwdoctor.walk.planes import Plane
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


# --- planes ------------------------------------------------------------------------------


# --- the walk ----------------------------------------------------------------------------


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way of a request through each data plane that listens on its port for its name."""
    for plane in planes.planes(cluster):
        way = _through(plane, request, cluster)
        if way is not None:
            yield way


def _through(plane: Plane, request: Request, cluster: Cluster) -> Way | None:
    on_port = [one for one in plane.listeners if one.port == request.port]
    if not on_port:
        return None
    ends_before = any(planes.fed_by_tls(one, cluster) for one in on_port)
    listener = planes.choose(on_port, request, ends_before=ends_before)
    if listener is None:
        return None
    owner = gateway_api.gateway_of(listener.owner, cluster) or plane.first
    way = Way(plane.system, (plane.first.ref,), str(owner.ref), planes.addresses(owner, cluster))
    if plane.flavour == "istio" and not way.addresses:
        workload = istio_workloads.of_listener(listener, cluster)
        way.addresses = istio_workloads.addresses(workload) if workload is not None else ()
    way.hops.append(_entry(owner, plane, cluster))
    if request.is_tls and listener.protocol == "HTTP":
        way.hops.append(_balancer(listener, owner, cluster))
    way.hops.append(_listener(listener, on_port, request, cluster))
    way.is_covered = bool(listener.hostname)
    way.is_named = listener.hostname.lower() == (request.sni or request.host)
    if listener.tls_mode == "Passthrough" or listener.protocol in ("TLS", "TCP"):
        passthrough.pass_through(way, listener, request, cluster)
        return way
    if listener.tls_mode == "Terminate":
        way.hops += tls.of_listener(listener, request, cluster)
    way.hops += _policies(listener, owner, plane, cluster)
    _route(way, listener, request, plane, owner, cluster)
    return way


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


def _balancer(listener: Listener, owner: Resource, cluster: Cluster) -> Hop:
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
    hop = Hop("listener", says, listener.field, spots=tuple(planes.about(listener)))
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


def _policies(listener: Listener, owner: Resource, plane: Plane, cluster: Cluster) -> Iterator[Hop]:
    """What is configured on the Gateway's data plane beside it: named, not evaluated."""
    if plane.flavour == "istio":
        workload = istio_workloads.of_listener(listener, cluster)
        if workload is not None:
            yield from istio_workloads.policies(workload, cluster)
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
    known = planes.attachments(cluster)
    by_name: dict[str, list[Resource]] = defaultdict(list)
    for route in known.at.get(listener.field, ()):
        if route.ref.kind in _HTTP_ROUTES:
            shared = gateway_api.shared_hostnames(listener, route)
            fitting = http_rules.best_host(shared, request.host)
            if fitting is not None:
                by_name[fitting].append(route)
    hostname = http_rules.best_host(by_name, request.host)
    hidden = planes.may_hide(listener, cluster)
    if hostname is None:
        says = f"no route at this listener has {request.host}"
        way.hops.append(planes.no_route(says, listener, hidden))
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
        hop = planes.no_route(says, listener, hidden)
        nearest = by_name[hostname][0]
        hop.field = nearest.at("spec", "rules")
        if any(match.passes is None for match in tried):
            hop.state, hop.unverified = State.UNSEEN, _EXPRESSION
        way.hops.append(hop)
        return
    _taken(way, winner, tried, listener, request, plane, owner, cluster)


_EXPRESSION = "a regular expression could not be evaluated here"


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
    hop = Hop(
        "route", _said(winner, tried), winner.rule, spots=(route, *_bound(route, listener, cluster))
    )
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
    way.hops += http_rules.filters(winner, request)
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


def _bound(route: Resource, listener: Listener, cluster: Cluster) -> Iterator[Field]:
    """The parentRefs by which a route comes to a listener, and what its controller says of them."""
    for parent in gateway_api.parents(route, cluster):
        if any(one.field == listener.field for one in parent.selected):
            yield parent.field
    for entry in route.each("status", "parents"):
        reference = entry.at("parentRef")
        if reference.text("name") == listener.owner.name and reference.text("sectionName") in (
            "",
            listener.name,
        ):
            yield entry


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


# --- what comes near ---------------------------------------------------------------------
