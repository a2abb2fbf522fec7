"""The http rules of a VirtualService: their order, their matches, and what they do.

Rules: istio/istio 1.32 pilot/pkg/networking/core/route/route.go and pilot/pkg/model/virtualservice.go:
VirtualServices of one host oldest first, their rules in order, catch-alls last where several meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    istio_mesh,
    istio_routes,
    istio_virtual_services,
)
from gwdoctor.resolve.istio_gateways import Server, Workload
from gwdoctor.walk import backends, http_rules, istio_backends, matching
from gwdoctor.walk.backends import Target
from gwdoctor.walk.hops import Hop, Redirect, Way
from gwdoctor.walk.request import PORTS, Request


@dataclass(frozen=True, slots=True)
class Tried:
    """A match of a rule of a VirtualService, and the answer."""

    owner: Resource
    rule: Field
    field: Field
    passes: bool | None

    @property
    def number(self) -> int:
        """The position of the rule."""
        step = self.rule.path[-1]
        return step if isinstance(step, int) else 0

    def __str__(self) -> str:
        return _told(self.field)


def in_order(
    routes: Sequence[Resource],
    server_of: Mapping[Resource, Server],
    workload: Workload,
    request: Request,
    cluster: Cluster,
) -> Iterator[Tried]:
    """Every match in the order of the proxy: of several VirtualServices, catch-alls go last."""
    first: list[Tried] = []
    last: list[Tried] = []
    for route in routes:
        server = server_of[route]
        gateway = (server.owner.namespace, server.owner.name)
        for owner, rule, root in _rules(route, cluster):
            outer = _root(root, route, gateway, workload, request)
            ends = False
            for match in rule.each("match") or (rule.at("match"),):
                if not is_for(match, route, gateway, workload, request):
                    continue
                passes = matching.every((passes_match(match, request), outer))
                is_all = _takes_all(match) and (root is None or not root.has("match"))
                one = Tried(owner, rule, match, passes)
                (last if is_all and len(routes) > 1 else first).append(one)
                ends = ends or is_all
            if ends:
                break
    yield from first
    yield from last


def _rules(route: Resource, cluster: Cluster) -> Iterator[tuple[Resource, Field, Field | None]]:
    """The http rules of a VirtualService; those of a delegate with the rule that names it.

    A delegate that is not seen leaves its rule as it is.
    """
    for rule in route.each("spec", "http"):
        if not rule.has("delegate"):
            yield route, rule, None
            continue
        name = rule.text("delegate", "name")
        namespace = rule.text("delegate", "namespace") or route.namespace
        try:
            delegate = cluster.get(kinds.VIRTUAL_SERVICE, namespace, name)
        except OutOfView:
            yield route, rule, None
            continue
        if delegate is None or delegate.texts("spec", "hosts"):
            continue  # istiod leaves the entry out
        for inner in delegate.each("spec", "http"):
            yield delegate, inner, rule


def _root(
    root: Field | None,
    route: Resource,
    gateway: tuple[str, str],
    workload: Workload,
    request: Request,
) -> bool | None:
    """Whether the request passes the rule that a delegate stands in for."""
    if root is None or not root.each("match"):
        return True
    return matching.some(
        passes_match(match, request)
        for match in root.each("match")
        if is_for(match, route, gateway, workload, request)
    )


def is_for(
    match: Field,
    route: Resource,
    gateway: tuple[str, str],
    workload: Workload,
    request: Request,
) -> bool:
    """Whether a match is for this gateway, port and proxy at all."""
    named = match.texts("gateways")
    if named and not any(
        istio_virtual_services.gateway_name(name, route.namespace) == gateway for name in named
    ):
        return False
    if match.number("port") not in (None, request.port):
        return False
    wanted = match.labels("sourceLabels")
    if wanted and not wanted.items() <= workload.labels.items():
        return False
    return match.text("sourceNamespace") in ("", workload.namespace)


def _takes_all(match: Field) -> bool:
    """A rule without match, or with the prefix `/` and nothing else."""
    tests = {
        key for key, value in match.entries() if key not in ("name", "gateways") and value.has()
    }
    return not tests or (
        tests == {"uri"}
        and (match.text("uri", "prefix") == "/" or match.text("uri", "regex") in (".*", "*"))
    )


def passes_match(match: Field, request: Request) -> bool | None:
    """Whether a request passes an HTTPMatchRequest. Regular expressions match the whole text."""
    headers = request.headers
    answers: list[bool | None] = [
        _text(match.at("uri"), request.path, lower=match.flag("ignoreUriCase") is True),
        _text(match.at("method"), request.method),
        _text(match.at("scheme"), request.scheme),
        _text(match.at("authority"), _authority(request)),
    ]
    answers += [
        _sent(test, headers.get(name.lower(), ())) for name, test in match.entries("headers")
    ]
    answers += [
        _negated(_sent(test, headers.get(name.lower(), ())))
        for name, test in match.entries("withoutHeaders")
    ]
    query = request.parameters
    answers += [
        _sent(test, (query[name],) if name in query else ())
        for name, test in match.entries("queryParams")
    ]
    return matching.every(answers)


def _authority(request: Request) -> str:
    port = "" if request.port == PORTS[request.scheme] else f":{request.port}"
    return f"{request.host}{port}"


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _sent(test: Field, values: tuple[str, ...]) -> bool | None:
    if not values:
        return False
    return _text(test, ",".join(values)) if test.entries() else True  # `{}`: it is there


def _text(test: Field, text: str, *, lower: bool = False) -> bool | None:
    """A StringMatch; absent it passes. The prefix is one of characters, not of path elements."""
    if not test.has():
        return True
    exact, prefix, regex = (test.text(key) for key in ("exact", "prefix", "regex"))
    if lower:
        exact, prefix, text = exact.lower(), prefix.lower(), text.lower()
    if test.has("exact"):
        return text == exact
    if test.has("prefix"):
        return text.startswith(prefix)
    return matching.fits(regex, text) if test.has("regex") else True


def _told(match: Field) -> str:
    parts = []
    for key, word in (("uri", "path"), ("method", "method"), ("authority", "host")):
        for sort, verb in (("exact", "exactly"), ("prefix", "begins with"), ("regex", "like")):
            if match.text(key, sort):
                parts.append(f"{word} {verb} {match.text(key, sort)}")
    parts += [f"header {name}" for name, _ in match.entries("headers")]
    parts += [f"without header {name}" for name, _ in match.entries("withoutHeaders")]
    parts += [f"query {name}" for name, _ in match.entries("queryParams")]
    return ", ".join(parts) or "takes all"


def take(
    way: Way,
    winner: Tried,
    request: Request,
    namespace: str,
    listener_port: int | None,
    cluster: Cluster,
) -> None:
    """What an http rule does with the request: redirect, answer, or pass it on."""
    rule = winner.rule
    if rule.has("redirect"):
        way.redirect = _redirect(rule.at("redirect"), winner.field, request)
        return
    if rule.has("directResponse"):
        status = rule.number("directResponse", "status")
        way.hops.append(Hop("answer", f"it answers {status} by itself", rule.at("directResponse")))
        return
    if rule.has("delegate"):
        name = rule.text("delegate", "name")
        way.hops.append(
            Hop("route", f"the delegate {name} is not seen", rule.at("delegate"), State.UNSEEN)
        )
        return
    rewrite = rule.at("rewrite")
    if rewrite.has():
        told = []
        if rewrite.text("uri"):
            told.append(f"path {_replaced(winner.field, rewrite.text('uri'), request.path)}")
        if rewrite.text("authority"):
            told.append(f"Host {rewrite.text('authority')}")
        hop = Hop("filter", f"the backend is asked for {' and '.join(told) or 'the same'}", rewrite)
        if rewrite.has("uriRegexRewrite"):
            hop.unverified = "uriRegexRewrite is not evaluated"
        way.hops.append(hop)
    if rule.has("fault"):
        way.hops.append(
            Hop("filter", "faults are injected on purpose", rule.at("fault"), State.DEGRADED)
        )
    targets = [
        target_of(one, cluster, listener_port)
        for one in istio_routes.destinations(winner.owner)
        if one.route == rule and not one.is_mirror
    ]
    if not targets:
        way.hops.append(Hop("backend", "the rule leads nowhere", rule, State.BROKEN))
        return
    caller = istio_backends.caller(namespace, cluster, is_tcp=False)
    way.branches = backends.branches(targets, caller, cluster)


def target_of(
    destination: istio_routes.Destination, cluster: Cluster, listener_port: int | None
) -> Target:
    """Where a destination leads: a Service, or a host of a ServiceEntry."""
    namespace = destination.owner.namespace
    host = istio_routes.full_host(destination, cluster)
    key = istio_mesh.service_key(host, namespace, cluster)
    port = destination.port
    weight = destination.weight
    if key is not None:
        return Target(
            destination.field,
            *key,
            _port(key, port, listener_port, cluster),
            weight,
            subset=destination.subset,
        )
    says = f"{host}{f' port {port}' if port else ''}"
    try:
        entries = istio_mesh.service_entries(host, cluster)
    except OutOfView:
        entries = ()
    told = f"{says}, by {entries[0].ref}" if entries else f"{says}, no Service of this cluster"
    return Target(destination.field, "", "", port, weight, says=told)


def _port(
    key: tuple[str, str], port: int | None, listener_port: int | None, cluster: Cluster
) -> int | None:
    """Without a port: the only one of the Service, else the number that the listener has."""
    if port is not None:
        return port
    try:
        service = cluster.get(kinds.SERVICE, *key)
    except OutOfView:
        return None
    if service is None or len(service.each("spec", "ports")) == 1:
        return None
    return listener_port


def _redirect(wanted: Field, match: Field, request: Request) -> Redirect:
    status = wanted.number("redirectCode") or 301
    scheme = wanted.text("scheme").lower() or request.scheme
    port = wanted.number("port")
    if port is None:
        derived = wanted.text("derivePort")
        port = request.port if derived == "FROM_REQUEST_PORT" else None
        if not derived and scheme == request.scheme and not wanted.text("authority"):
            port = request.port
    authority = wanted.text("authority")
    host, colon, number = authority.partition(":")
    if colon and number.isdigit():
        port = int(number)
    path = wanted.text("uri")
    new = path.replace("%PREFIX()%", match.text("uri", "prefix")) if path else request.path
    return http_rules.to(request, status, scheme, host or request.host, port, new)


def _replaced(match: Field, uri: str, path: str) -> str:
    """A prefix is replaced by the new text, a whole path by the new path."""
    prefix = match.text("uri", "prefix")
    if not prefix:
        return uri
    return uri + path.removeprefix(prefix)
