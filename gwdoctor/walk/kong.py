"""Kong: one router over Ingresses and the routes of its Gateways.

Rules: KIC main (release 3.5) internal/dataplane/translator/subtranslator: ingress_atc.go and
httproute_atc.go for the priorities of the expressions router; Kong 3.9 kong/router/transform.lua
for those of the other flavours. Kong does not isolate listeners: every route is served on every
port of its proxy (KIC issue 2606).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    gateway_api,
    hosts,
    ingress,
    istio_mesh,
    kong,
    kong_plugins,
    kong_pods,
    services,
)
from gwdoctor.walk import backends, gateways, http_rules, matching, tls
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, State, Way, unseen
from gwdoctor.walk.http_rules import Match
from gwdoctor.walk.request import Request

#: What it reads.
KINDS = (
    *kong.ENTRY_KINDS,
    kinds.SECRET,
    kinds.CERTIFICATE,
    kinds.KONG_PLUGIN,
    kinds.KONG_CLUSTER_PLUGIN,
    kinds.POD_WHOLE,
    kinds.POD,
    kinds.SERVICE,
)
_PREFIX = "konghq.com/"
_DEFAULT_CERTIFICATE = "Kong's default certificate (CN=localhost unless KONG_SSL_CERT is set)"


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


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way through each Kong."""
    for plane in planes(cluster):
        way = _through(plane, request, cluster)
        if way is not None:
            yield way


def _through(plane: Plane, request: Request, cluster: Cluster) -> Way | None:
    named = f"class {plane.name}" if plane.name else "of its Gateways"
    way = Way("Kong", ("kong", plane.name), f"Kong, {named}")
    entry, way.addresses = _entry(plane, request, cluster)
    way.hops.append(entry)
    way.hops += _listener(plane, request, cluster)
    found = sorted(candidates(plane, request, cluster), key=lambda c: c.priority, reverse=True)
    passing = [one for one in found if one.passes]
    way.is_named = any(one.host for one in found)
    if request.is_tls:
        way.hops += _certificate(plane, request, cluster)
    if not passing:
        if not way.is_named and not _has_listener(plane, request, cluster):
            return None
        says = (
            f"no route of {request.host} takes {request.method} {request.path}"
            if way.is_named
            else f"no route has {request.host}"
        )
        hop = Hop("route", f"{says}: 404 no Route matched with those values", state=State.BROKEN)
        hop.field = found[0].field if found else None
        hidden = _hidden(cluster)
        if hidden is not None:
            hop = unseen("route", hidden)
        way.hops.append(hop)
        return way
    winner, doubt = _winner(found, cluster)
    way.answers = True
    hop = Hop("route", _said(winner, passing), winner.field, spots=(winner.root,))
    hop.unverified = doubt
    way.hops.append(hop)
    _take(way, winner, request, plane, cluster)
    return way


def _hidden(cluster: Cluster) -> OutOfView | None:
    for kind in (kinds.INGRESS, kinds.HTTP_ROUTE):
        for gap in cluster.gaps:
            if gap.kind == kind and gap.claimed and not gap.name:
                return OutOfView(gap)
    return None


def _has_listener(plane: Plane, request: Request, cluster: Cluster) -> bool:
    return any(
        one.hostname and hosts.suffix_covers(one.hostname, request.host)
        for gateway in plane.gateways
        for one in gateways.listeners_of(gateway, cluster)
    )


# --- where it is reached -----------------------------------------------------------------


def _entry(plane: Plane, request: Request, cluster: Cluster) -> tuple[Hop, tuple[str, ...]]:
    """The proxy's Service, and its controllers, whose ills are ills of every route."""
    told: list[str] = []
    for gateway in plane.gateways:
        told += gateways.addresses(gateway, cluster)
    for one in plane.ingresses:
        for entry in one.each("status", "loadBalancer", "ingress"):
            told += [entry.text("ip"), entry.text("hostname")]
    pods = [one.pod for one in _proxies(cluster)]
    spots: list[Field] = [*plane.gateways]
    with contextlib.suppress(OutOfView):
        spots += [one.pod for one in kong_pods.controllers(cluster) if _serves(one, plane)]
    for gateway in plane.gateways:
        try:
            found = gateway_api.gateway_class(gateway, cluster)
        except OutOfView:
            continue
        spots += [found] if found is not None else []
    fronts = _fronts(pods, cluster)
    for service in fronts:
        told += gateways.of_balancer(service)
    addresses = tuple(dict.fromkeys(address for address in told if address))
    for service in fronts:
        port = services.port(service, request.port)
        if port is not None:
            lead = port.text("targetPort") or port.number("targetPort") or request.port
            says = f"port {request.port}, to {lead} of Kong's Pods"
            return Hop("gateway", says, port, spots=(service, *pods, *spots)), addresses
    if fronts:
        says = f"no Service of Kong's proxy has port {request.port}"
        return Hop(
            "gateway",
            says,
            fronts[0].at("spec", "ports"),
            State.BROKEN,
            spots=(*fronts, *pods, *spots),
        ), addresses
    first = plane.gateways[0] if plane.gateways else None
    hop = Hop(
        "gateway", "Kong's proxy and its Service are not in the picture", first, spots=tuple(spots)
    )
    hop.unverified = "the ports that it is reached on"
    return hop, addresses


def _proxies(cluster: Cluster) -> tuple[kong_pods.Container, ...]:
    """The containers of Kong Gateway that are seen."""
    try:
        return cluster.derive(_all_proxies)
    except OutOfView:
        return ()


def _all_proxies(cluster: Cluster) -> tuple[kong_pods.Container, ...]:
    return tuple(kong_pods.proxies(cluster))


def _serves(controller: kong_pods.Container, plane: Plane) -> bool:
    """Whether a controller may be the one of this plane: it names another class where it is not."""
    variable = controller.variable("CONTROLLER_INGRESS_CLASS")
    own = variable.text("value") if variable is not None else "kong"
    return not plane.name or own == plane.name


def _fronts(pods: Sequence[Resource], cluster: Cluster) -> list[Resource]:
    """The Services that select the proxy's Pods and are meant for clients."""
    found: dict[Resource, None] = {}
    for namespace in dict.fromkeys(pod.namespace for pod in pods):
        try:
            in_namespace = cluster.within(kinds.SERVICE, namespace)
        except OutOfView:
            continue
        for service in in_namespace:
            wanted = service.labels("spec", "selector").items()
            if wanted and any(
                wanted <= pod.labels("metadata", "labels").items()
                for pod in pods
                if pod.namespace == namespace
            ):
                found[service] = None
    return sorted(found, key=lambda s: (s.text("spec", "type") != "LoadBalancer", s.ref))


def _listener(plane: Plane, request: Request, cluster: Cluster) -> Iterator[Hop]:
    """The listener that has the name on this port: Kong's router does not ask for it."""
    own = [one for gateway in plane.gateways for one in gateways.listeners_of(gateway, cluster)]
    on_port = [one for one in own if one.port == request.port]
    chosen = gateways.choose(on_port, request)
    if chosen is not None:
        says = (
            f"{chosen.name}, port {chosen.port} {chosen.protocol}, "
            f"{chosen.hostname or 'any name'}; Kong serves every route on every port"
        )
        hop = Hop("listener", says, chosen.field, spots=(chosen.owner,))
        for kind in ("Accepted", "Programmed"):
            said = gateway_api.listener_condition(chosen, kind)
            if said is not None and said.text("status") == "False":
                hop.state = State.BROKEN
                hop.says += f"; {kind} is False: {said.text('reason')}"
                break
        yield hop


def _certificate(plane: Plane, request: Request, cluster: Cluster) -> list[Hop]:
    """By SNI: an Ingress before a Gateway, the oldest first; exact, wildcard, `*`, the default."""
    name = request.sni or request.host
    offers: list[tuple[tuple[object, ...], Field, str, str]] = []
    for one in plane.ingresses:
        for entry in one.each("spec", "tls"):
            if not entry.text("secretName"):
                continue
            fitting = http_rules.best_host((n.lower() for n in entry.texts("hosts") if n), name)
            if fitting is not None:
                exact, length = http_rules.specificity(fitting)
                order = (not exact, -length, 0, one.created or "~", one.ref)
                offers.append(
                    (order, entry.at("secretName"), one.namespace, entry.text("secretName"))
                )
    for gateway in plane.gateways:
        for listener in gateways.listeners_of(gateway, cluster):
            if listener.tls_mode != "Terminate":
                continue
            pattern = listener.hostname.lower()
            if pattern and not hosts.suffix_covers(pattern, name):
                continue
            references = listener.field.each("tls", "certificateRefs")
            exact, length = http_rules.specificity(pattern)
            order = (not exact, -length, 1, gateway.created or "~", gateway.ref)
            for reference in references[:1]:
                namespace = reference.text("namespace") or listener.owner.namespace
                offers.append((order, reference, namespace, reference.text("name")))
            if len(references) > 1:
                says = "the listener names more than one certificate: Kong loads none of them"
                return [Hop("certificate", says, listener.field.at("tls"), State.BROKEN)]
    if not offers:
        hop = Hop("certificate", f"nothing has {name}: {_DEFAULT_CERTIFICATE}", state=State.UNSEEN)
        hop.unverified = "which certificate is the default is not looked at"
        return [hop]
    offers.sort(key=lambda offer: offer[0])
    best = offers[0]
    found = tls.shown([best[1:]], name, cluster)
    others = {offer[2:] for offer in offers if offer[0][:3] == best[0][:3]} - {best[2:]}
    if others and best[0][2] == 1:
        found[0].unverified = "which of several Gateways' certificates Kong takes is not determined"
    if found[0].says == "the Secret does not exist":
        found[0].says += f": {_DEFAULT_CERTIFICATE} is served"
    return found


# --- routes ------------------------------------------------------------------------------


def candidates(plane: Plane, request: Request, cluster: Cluster) -> Iterator[Candidate]:
    """Every route of Kong for the host, and whether it takes the request."""
    for one in plane.ingresses:
        yield from _of_ingress(one, request)
    defaults = [one for one in plane.ingresses if one.has("spec", "defaultBackend")]
    for one in sorted(defaults, key=lambda i: (i.created or "~", i.ref))[:1]:
        yield Candidate(
            one, one.at("spec", "defaultBackend"), "the default backend", "", True, (3, 0), (-1,)
        )
    known = gateways.attachments(cluster)
    for gateway in plane.gateways:
        for listener in gateways.listeners_of(gateway, cluster):
            for route in known.at.get(listener.field, ()):
                if route.ref.kind in (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE):
                    yield from _of_route(route, request)


def _of_route(route: Resource, request: Request) -> Iterator[Candidate]:
    names = [name.lower() for name in route.texts("spec", "hostnames")] or [""]
    kind = 2 if route.ref.kind == kinds.HTTP_ROUTE else 1
    snis = _list(route, "snis")
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
    aliases = _list(owner, "host-aliases")
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
        key.removeprefix(f"{_PREFIX}headers."): tuple(v.strip() for v in field.text().split(","))
        for key, field in owner.entries("metadata", "annotations")
        if key.startswith(f"{_PREFIX}headers.")
    }
    methods = tuple(m.upper() for m in _list(owner, "methods"))
    snis = _list(owner, "snis")
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
        given = owner.annotation(f"{_PREFIX}regex-priority")
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


def _list(owner: Resource, key: str) -> tuple[str, ...]:
    return kong_plugins.names(owner.annotation(f"{_PREFIX}{key}"))


def _header(request: Request, name: str, values: tuple[str, ...]) -> bool | None:
    sent = request.headers.get(name.lower(), ())
    return matching.some(
        matching.fits(value[2:], one, whole=False) if value.startswith("~*") else one == value
        for value in values
        for one in sent
    )


def _prefix(owner: Resource) -> str:
    return owner.annotation(f"{_PREFIX}regex-prefix") or "/~"


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


def _winner(found: Sequence[Candidate], cluster: Cluster) -> tuple[Candidate, str]:
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
        for one in _proxies(cluster)
    }
    return frozenset("expressions" if f == "expressions" else "compatible" for f in found)


def _said(winner: Candidate, passing: Sequence[Candidate]) -> str:
    others = list(dict.fromkeys(str(one.root.ref) for one in passing if one.root != winner.root))
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return winner.says + (f"; before {', '.join(others[:2])}{more}" if others else "")


# --- what the route does -----------------------------------------------------------------


def _take(way: Way, winner: Candidate, request: Request, plane: Plane, cluster: Cluster) -> None:
    root = winner.root
    way.hops += _plugins(root, cluster)
    if _upgraded(way, winner, request, cluster):
        return
    if winner.match is not None:
        found = http_rules.redirect_of(winner.match, request, request.scheme, request.port)
        if found is not None:
            way.redirect = found
            return
        way.hops += http_rules.filters(winner.match, request, cluster)
    told = []
    if root.annotation(f"{_PREFIX}strip-path").lower() == "true":
        told.append("the matched path is stripped")
    if root.annotation(f"{_PREFIX}preserve-host").lower() == "false":
        told.append("the backend is asked by its own name")
    if root.annotation(f"{_PREFIX}rewrite"):
        told.append(f"the path becomes {root.annotation(f'{_PREFIX}rewrite')}")
    if told:
        hop = Hop("filter", "; ".join(told), root.at("metadata", "annotations"))
        if root.annotation(f"{_PREFIX}rewrite"):
            hop.unverified = "whether the feature gate RewriteURIs is on"
        way.hops.append(hop)
    targets = _targets(winner)
    if not any(target.weight for target in targets):
        way.hops.append(
            Hop("backend", "no backend gets a request: 500", winner.field, State.BROKEN)
        )
    way.branches = backends.branches(targets, _caller(root, cluster), cluster)


def _upgraded(way: Way, winner: Candidate, request: Request, cluster: Cluster) -> bool:
    """Whether the route takes https only and the request is plain: a redirect, or 426."""
    root = winner.root
    if request.is_tls:
        return False
    forced = root.annotation("ingress.kubernetes.io/force-ssl-redirect").lower() == "true"
    listed = _list(root, "protocols")
    by_listener = False
    if not listed and winner.match is not None:
        parents = gateway_api.parents(root, cluster)
        schemes = {one.protocol for parent in parents for one in parent.attached}
        by_listener = schemes == {"HTTPS"}
    if not forced and not by_listener and (not listed or "http" in listed):
        return False
    field = root.at("metadata", "annotations", f"{_PREFIX}protocols")
    status = root.annotation(f"{_PREFIX}https-redirect-status-code") or ("302" if forced else "426")
    if status in ("301", "302", "307", "308"):
        way.redirect = http_rules.to(
            request, int(status), "https", request.host, None, request.path
        )
        return True
    hop = Hop(
        "answer",
        "the route takes https only: 426 Please use HTTPS protocol",
        field if listed else winner.field,
        State.BROKEN,
    )
    if by_listener:
        hop.unverified = "controllers before 3.5.7 and 3.4.14 serve it on http as well"
    way.hops.append(hop)
    return False


def _plugins(holder: Resource, cluster: Cluster) -> Iterator[Hop]:
    for reference in kong_plugins.references(holder):
        try:
            plugin = kong_plugins.plugin_of(reference, cluster)
        except OutOfView as hidden:
            yield unseen("plugin", hidden)
            continue
        if plugin is None:
            yield Hop(
                "plugin",
                f"{reference} does not exist: the request goes without it",
                reference.field,
                State.DEGRADED,
            )
        elif not plugin.flag("disabled"):
            hop = Hop(
                "plugin",
                plugin.text("plugin") or "without a plugin name",
                plugin,
                spots=(reference.field,),
            )
            hop.unverified = "what a plugin does to this request is not evaluated"
            yield hop


def _targets(winner: Candidate) -> list[Target]:
    root = winner.root
    if winner.match is not None:
        return [
            Target(
                one.field, one.namespace, one.name, one.port, one.weight, one.kind, referrer=root
            )
            for one in gateway_api.backend_refs(root)
            if one.rule == winner.field and not one.is_mirror
        ]
    field = (
        winner.field if winner.field.path[-1] == "defaultBackend" else winner.field.at("backend")
    )
    return [ingress_target(root, field)]


def ingress_target(root: Resource, field: Field) -> Target:
    """The backend of an Ingress."""
    name = field.text("service", "name")
    if not name:
        wanted = field.at("resource")
        return Target(field, "", "", None, says=f"{wanted.text('kind')} {wanted.text('name')}")
    reference = field.at("service", "port")
    return Target(field, root.namespace, name, reference.text("name") or reference.number("number"))


def _caller(route: Resource, cluster: Cluster) -> Caller:
    def speaks(service: Resource, port: Field) -> Hop:
        spoken = kong.protocol(service)
        written = service.annotation(kong.PROTOCOL)
        field = service.at("metadata", "annotations", kong.PROTOCOL)
        if route.ref.kind == kinds.GRPC_ROUTE and not written:
            hop = Hop("protocol", "grpc or grpcs, after the listener of the GRPCRoute", port)
            hop.spots = (field,)
            return hop
        why = (
            f"{kong.PROTOCOL} on the Service"
            if written == spoken
            else (
                f"the Service has no {kong.PROTOCOL}"
                if not written
                else f"{written!r} is no protocol"
            )
        )
        hop = backends.protocol(
            f"{spoken}: {why}",
            service,
            port,
            cluster,
            tls=spoken in ("https", "grpcs", "tls", "wss"),
        )
        hop.spots += (field, service)
        return hop

    pods = [one.pod for one in _proxies(cluster)]
    metadata = [found for pod in pods if (found := _metadata(pod, cluster)) is not None]
    in_mesh = (
        {"none": False, "all": True}.get(istio_mesh.membership(metadata)) if metadata else None
    )
    return Caller(speaks, in_mesh)


def _metadata(pod: Resource, cluster: Cluster) -> Resource | None:
    try:
        return cluster.get(kinds.POD, pod.namespace, pod.name)
    except OutOfView:
        return None


def names(cluster: Cluster) -> Iterator[tuple[str, Field]]:
    """The host names of Kong's listeners (those of its routes are told elsewhere)."""
    for plane in planes(cluster):
        for gateway in plane.gateways:
            for listener in gateways.listeners_of(gateway, cluster):
                if listener.hostname:
                    yield listener.hostname.lower(), listener.field
