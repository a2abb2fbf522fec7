"""Kong's router: which of its routes takes a request.

Rules: KIC main (release 3.5) internal/dataplane/translator/subtranslator: ingress_atc.go and
httproute_atc.go for the priorities of the expressions router; Kong 3.9 kong/router/transform.lua
for those of the other flavours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    hosts,
    ingress,
    kong,
    kong_plugins,
    kong_pods,
)
from gwdoctor.walk import http_rules, matching
from gwdoctor.walk import planes as gateway_planes
from gwdoctor.walk.http_rules import Match
from gwdoctor.walk.request import Request

PREFIX = "konghq.com/"


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One Kong: the Ingresses of a class, and the Gateways of Kong's classes with them.

    Which controller serves which Gateway is known only where there is one class.
    """

    name: str
    ingresses: tuple[Resource, ...]
    gateways: tuple[Resource, ...]


def planes(cluster: Cluster) -> Sequence[Plane]:
    """Every Kong that something is meant for."""
    return cluster.derive(_planes)


def _planes(cluster: Cluster) -> Sequence[Plane]:
    by_class: dict[str, list[Resource]] = defaultdict(list)
    try:
        served = kong.ingresses(cluster) if cluster.may_hold(kinds.INGRESS) else ()
    except OutOfView:
        served = ()
    for one in served:
        if not ingress.is_acme_solver(one):
            by_class[ingress.served_class(one, cluster, ingress.KONG)].append(one)
    keys = kong.gateways(cluster) if cluster.may_hold(kinds.GATEWAY) else frozenset()
    found = tuple(
        gateway for key in sorted(keys) if (gateway := cluster.get(kinds.GATEWAY, *key)) is not None
    )
    if len(by_class) <= 1:
        name = next(iter(by_class), "")
        members = tuple(by_class.get(name, ()))
        return (Plane(name, members, found),) if members or found else ()
    return (
        *(Plane(name, tuple(members), ()) for name, members in sorted(by_class.items())),
        *((Plane("", (), found),) if found else ()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A route of Kong that may take the request.

    `priority` is that of the expressions router, `compatible` that of the other flavours; the
    higher comes first. `passes` is the answer.
    """

    root: Resource
    field: Field
    says: str
    host: str
    passes: bool | None
    priority: tuple[int, ...]
    compatible: tuple[int, ...]
    match: Match | None = None


def proxies(cluster: Cluster) -> tuple[kong_pods.Container, ...]:
    """The containers of Kong Gateway that are seen."""
    try:
        return cluster.derive(_all_proxies)
    except OutOfView:
        return ()


def _all_proxies(cluster: Cluster) -> tuple[kong_pods.Container, ...]:
    return tuple(kong_pods.proxies(cluster))


def candidates(plane: Plane, request: Request, cluster: Cluster) -> Iterator[Candidate]:
    """Every route of Kong for the host, and whether it takes the request."""
    for one in plane.ingresses:
        yield from _of_ingress(one, request)
    defaults = [one for one in plane.ingresses if one.has("spec", "defaultBackend")]
    for one in sorted(defaults, key=lambda i: (i.created or "~", i.ref))[:1]:
        yield Candidate(
            one, one.at("spec", "defaultBackend"), "the default backend", "", True, (3, 0), (-1,)
        )
    known = gateway_planes.attachments(cluster)
    for gateway in plane.gateways:
        for listener in gateway_planes.listeners_of(gateway, cluster):
            for route in known.at.get(listener.field, ()):
                if route.ref.kind in (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE):
                    yield from _of_route(route, request)


def _of_route(route: Resource, request: Request) -> Iterator[Candidate]:
    names = [name.lower() for name in route.texts("spec", "hostnames")] or [""]
    kind = 2 if route.ref.kind == kinds.HTTP_ROUTE else 1
    snis = listed(route, "snis")
    for name in names:
        if name and not hosts.suffix_covers(name, request.host):
            continue
        for match in http_rules.matches(route, name, request):
            passes = match.passes
            if snis and request.is_tls:
                passes = matching.every((passes, request.sni in snis))
            counts = (len(match.field.each("headers")), len(match.field.each("queryParams")))
            has_method = bool(match.field.text("method"))
            plain = bool(name) and not name.startswith("*")
            age = tuple(-ord(c) for c in (route.created or "~"))
            order = (
                kind,
                int(plain),
                len(name),
                int(match.path_type == "Exact"),
                int(match.path_type == "RegularExpression"),
                len(match.path) - 1,
                int(has_method),
                *counts,
                *age,
                -match.number,
            )
            fields = bool(name) + True + bool(counts[0]) + has_method + bool(snis)
            regex = match.path_type != "PathPrefix"
            other = (fields, int(plain), counts[0], int(regex), 0 if regex else len(match.path))
            says = f"{name or 'any host'}, rule {match.number}: {match}"
            yield Candidate(route, match.rule, says, name, passes, order, other, match)


def _of_ingress(owner: Resource, request: Request) -> Iterator[Candidate]:
    """KIC makes one route of the paths of an Ingress, host and Service port together."""
    aliases = listed(owner, "host-aliases")
    together: dict[tuple[object, ...], list[Field]] = defaultdict(list)
    for rule in owner.each("spec", "rules"):
        names = [n for n in (rule.text("host").lower(), *aliases) if n]
        if names and not any(hosts.suffix_covers(name, request.host) for name in names):
            continue
        for path in rule.each("http", "paths"):
            port = path.at("backend", "service", "port")
            key = (
                rule.text("host").lower(),
                path.text("backend", "service", "name"),
                port.text("name") or port.number("number"),
            )
            together[key].append(path)
    headers = {
        key.removeprefix(f"{PREFIX}headers."): tuple(v.strip() for v in field.text().split(","))
        for key, field in owner.entries("metadata", "annotations")
        if key.startswith(f"{PREFIX}headers.")
    }
    methods = tuple(m.upper() for m in listed(owner, "methods"))
    snis = listed(owner, "snis")
    outside: list[bool | None] = [not methods or request.method in methods]
    outside += [_header(request, name, values) for name, values in headers.items()]
    if snis and request.is_tls:
        outside.append(request.sni in snis)
    for (host, _, _), paths in together.items():
        names = [n for n in (str(host), *aliases) if n]
        plain = bool(names) and not any(n.startswith("*") for n in names)
        fields = bool(names) + 1 + bool(headers) + bool(methods) + bool(snis)
        regex = any(_sort(path, owner) != "plain" for path in paths)
        longest = max(_length(path, owner) for path in paths)
        order = (3, fields, len(headers), int(plain), int(regex), longest)
        given = owner.annotation(f"{PREFIX}regex-priority")
        urgent = int(given) if given.lstrip("-").isdigit() else 0
        best = http_rules.best_host(names, request.host) or ""
        for path in paths:
            passes = matching.every((_path(path, owner, request.path), *outside))
            is_regex = _is_regex(path, owner, request.path)
            other = (
                fields,
                int(plain),
                len(headers),
                int(is_regex),
                urgent if is_regex else 0,
                0 if is_regex else _length(path, owner),
            )
            sort = path.text("pathType") or "ImplementationSpecific"
            says = f"{best or 'any host'}, {sort} {path.text('path') or '/'}"
            yield Candidate(owner, path, says, best, passes, order, other)


def listed(owner: Resource, key: str) -> tuple[str, ...]:
    """The items of one of Kong's annotations."""
    return kong_plugins.names(owner.annotation(f"{PREFIX}{key}"))


def _header(request: Request, name: str, values: tuple[str, ...]) -> bool | None:
    sent = request.headers.get(name.lower(), ())
    return matching.some(
        matching.fits(value[2:], one, whole=False) if value.startswith("~*") else one == value
        for value in values
        for one in sent
    )


def _prefix(owner: Resource) -> str:
    return owner.annotation(f"{PREFIX}regex-prefix") or "/~"


def _sort(path: Field, owner: Resource) -> str:
    """plain, or what becomes an expression: Exact and Prefix do, in the older router."""
    if path.text("pathType") in ("Exact", "Prefix"):
        return "both" if path.text("pathType") == "Prefix" else "regex"
    return "regex" if path.text("path").startswith(_prefix(owner)) else "plain"


def _is_regex(path: Field, owner: Resource, asked: str) -> bool:
    """Whether it is an expression that takes this request: of a Prefix only for the path itself."""
    sort = _sort(path, owner)
    base = path.text("path").strip("/")
    return sort == "regex" or (sort == "both" and bool(base) and asked == f"/{base}")


def _length(path: Field, owner: Resource) -> int:
    value = path.text("path")
    match path.text("pathType"):
        case "Exact":
            return 1 + len(value.lstrip("/"))
        case "Prefix":
            base = value.strip("/")
            return 2 + len(base) if base else 1
    return len(value.removeprefix(_prefix(owner)))


def _path(path: Field, owner: Resource, asked: str) -> bool | None:
    value = path.text("path")
    match path.text("pathType"):
        case "Exact":
            return asked == "/" + value.lstrip("/")
        case "Prefix":
            base = value.strip("/")
            return not base or matching.under(f"/{base}", asked)
    if value.startswith(_prefix(owner)):
        return matching.fits(value.removeprefix(_prefix(owner)) or "/", asked, whole=False)
    return asked.startswith(value or "/")


def winner(found: Sequence[Candidate], cluster: Cluster) -> tuple[Candidate, str]:
    """The route that Kong takes, and what is not certain about it."""
    flavours = _flavours(cluster)
    expressions = _first(found, lambda one: one.priority)
    compatible = _first(found, lambda one: one.compatible)
    flavour = next(iter(flavours)) if len(flavours) == 1 else ""
    winner = expressions if flavour == "expressions" or not flavour else compatible
    passing = [one for one in found if one.passes]
    doubts = []
    if not flavour and expressions.field != compatible.field:
        doubts.append(
            "the router_flavor of the proxy is not seen: with another than expressions "
            f"{compatible.root.ref} takes it"
        )
    is_by_priority = winner is expressions and flavour != "compatible"

    def order(one: Candidate) -> tuple[int, ...]:
        return one.priority if is_by_priority else one.compatible

    ties = [o for o in passing if order(o) == order(winner) and o.root != winner.root]
    if ties:
        doubts.append(f"{ties[0].root.ref} has the same priority: Kong takes one of them")
    elif not is_by_priority and any(o.match is not None for o in passing) and len(passing) > 1:
        doubts.append("the order of HTTPRoutes without the expressions router")
    if any(one.passes is None and order(one) > order(winner) for one in found):
        doubts.append("a regular expression before it could not be evaluated here")
    return winner, "; ".join(doubts)


_Order = Callable[[Candidate], tuple[int, ...]]


def _first(found: Sequence[Candidate], order: _Order) -> Candidate:
    return max((one for one in found if one.passes), key=order)


def _flavours(cluster: Cluster) -> frozenset[str]:
    """The router_flavor of the proxies that are seen; Kong's default is traditional_compatible."""
    found = {
        variable.text("value")
        if (variable := one.variable("KONG_ROUTER_FLAVOR")) is not None
        else "traditional_compatible"
        for one in proxies(cluster)
    }
    return frozenset("expressions" if f == "expressions" else "compatible" for f in found)


def said(winner: Candidate, passing: Sequence[Candidate]) -> str:
    """The route in words, and those that it comes before."""
    others = list(dict.fromkeys(str(one.root.ref) for one in passing if one.root != winner.root))
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return winner.says + (f"; before {', '.join(others[:2])}{more}" if others else "")
