"""Ingresses of controllers other than Kong's.

Rules: Kubernetes networking/v1 (the longest path first, Exact before Prefix, exact hosts before
wildcards); ingress-nginx docs/user-guide for its annotations. Where controllers do otherwise the
hop says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts, ingress, outside_callers
from gwdoctor.walk import backends, http_rules, matching, tls
from gwdoctor.walk.backends import Caller
from gwdoctor.walk.hops import Hop, Near, Way, elsewhere
from gwdoctor.walk.kong import ingress_target
from gwdoctor.walk.request import Request

#: What it reads.
KINDS = (
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
    kinds.SECRET,
    kinds.CERTIFICATE,
    kinds.SERVICE,
    kinds.POD,
)
_NGINX = "nginx.ingress.kubernetes.io/"
#: Controllers that make a load balancer of their own for each Ingress.
_APART = frozenset(("ingress.k8s.aws/alb", "k8s.io/ingress-gce"))


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The Ingresses that one controller serves together."""

    class_name: str
    controller: str
    members: tuple[Resource, ...]


def planes(cluster: Cluster) -> Sequence[Plane]:
    """By class; where each Ingress has a load balancer of its own, by Ingress."""
    return cluster.derive(_planes)


def _planes(cluster: Cluster) -> Sequence[Plane]:
    if not cluster.may_hold(kinds.INGRESS):
        return ()
    try:
        seen = cluster[kinds.INGRESS]
    except OutOfView:
        return ()
    groups: dict[tuple[str, str, object], list[Resource]] = defaultdict(list)
    for one in seen:
        if ingress.is_acme_solver(one) or ingress.served_class(one, cluster, ingress.KONG):
            continue
        name = ingress.class_field(one).text() or ingress.class_annotation(one).text()
        if not name:
            name = _default(cluster)
        if not name:
            continue  # told as near: nobody serves it
        controller = ingress.controller_of(name, cluster)
        group = one.annotation("alb.ingress.kubernetes.io/group.name") or one.ref
        apart: object = group if controller in _APART else None
        groups[name, controller, apart].append(one)
    return tuple(Plane(name, controller, tuple(m)) for (name, controller, _), m in groups.items())


def _default(cluster: Cluster) -> str:
    try:
        found = ingress.default_class(cluster)
    except OutOfView:
        return ""
    return found.name if found is not None else ""


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way through each controller whose Ingresses have the host."""
    for plane in planes(cluster):
        way = _through(plane, request, cluster)
        if way is not None:
            yield way


def _through(plane: Plane, request: Request, cluster: Cluster) -> Way | None:
    by_host: dict[str, list[tuple[Resource, Field]]] = defaultdict(list)
    having: dict[str, Resource] = {}  # a rule without paths has its host, too
    for owner in plane.members:
        for rule in owner.each("spec", "rules"):
            host = rule.text("host").lower()
            if not host or _covers(host, request.host):
                having.setdefault(host, owner)
                by_host[host] += [(owner, path) for path in rule.each("http", "paths")]
    defaults = sorted(
        (one for one in plane.members if one.has("spec", "defaultBackend")),
        key=lambda one: (one.created or "~", one.ref),
    )
    hostname = max(by_host, key=hosts.specificity, default=None)
    if hostname is None and not defaults:
        return None
    known = f" ({plane.controller})" if plane.controller else ""
    name = f"class {plane.class_name}{known}"
    if plane.controller in _APART:
        name += f", {plane.members[0].ref}"
    way = Way(
        "Ingress",
        ("ingress", plane.class_name, plane.members[0].ref if plane.controller in _APART else ""),
        name,
    )
    way.is_named = bool(hostname)
    tried = sorted(
        (
            (owner, path, _passes(path, plane, request.path))
            for owner, path in by_host.get(hostname or "", ())
        ),
        key=lambda item: _order(item[0], item[1]),
    )
    winner = next(((owner, path) for owner, path, passes in tried if passes), None)
    if winner or tried:
        chosen = (winner or tried[0])[0]
    else:
        chosen = defaults[0] if defaults else having[hostname or ""]
    way.hops.append(_entry(plane, chosen, cluster))
    way.addresses = tuple(
        address
        for entry in chosen.each("status", "loadBalancer", "ingress")
        for address in (entry.text("ip"), entry.text("hostname"))
        if address
    )
    if request.port != (443 if request.is_tls else 80):
        way.hops[0].unverified = f"whether the controller listens on port {request.port}"
    secured = _tls_entries(plane, request)
    if request.is_tls:
        way.hops += _certificate(secured, request, cluster)
    if winner is None and defaults:
        _default_backend(way, defaults[0], hostname, plane, cluster)
        return way
    if winner is None:
        says = f"no path of {hostname or 'any host'} takes {request.path}: 404"
        hop = Hop("route", says, chosen.at("spec", "rules"), State.BROKEN, spots=(chosen,))
        hidden = elsewhere(cluster, kinds.INGRESS)
        if hidden is not None:
            hop.state, hop.rbac = State.UNSEEN, hidden.gap.rbac
            hop.says += f" (not seen: {hidden.gap})"
        elif any(passes is None for _, _, passes in tried):
            hop.state, hop.unverified = State.UNSEEN, _NOT_KNOWN
        way.hops.append(hop)
        return way
    _taken(way, winner, tried, hostname or "", plane, request, secured, cluster)
    return way


_NOT_KNOWN = "what this controller makes of an ImplementationSpecific path"


def _covers(pattern: str, host: str) -> bool:
    """A wildcard of an Ingress stands for one label."""
    return hosts.san_covers(pattern, host)


def _passes(path: Field, plane: Plane, asked: str) -> bool | None:
    value = path.text("path") or "/"
    match path.text("pathType"):
        case "Exact":
            return asked == value
        case "Prefix":
            return matching.under(value, asked)
    if plane.controller == ingress.NGINX or not any(sign in value for sign in "*~^$()[]|\\"):
        return matching.under(value, asked) or asked.startswith(value)
    return None


def _order(owner: Resource, path: Field) -> tuple[object, ...]:
    value = path.text("path") or "/"
    return (
        -len(value.rstrip("/")),
        path.text("pathType") != "Exact",
        owner.created or "~",
        owner.ref,
    )


def _entry(plane: Plane, owner: Resource, cluster: Cluster) -> Hop:
    field, annotation = ingress.class_field(owner), ingress.class_annotation(owner)
    spot = field if field.text() else annotation
    says = f"class {plane.class_name}"
    hop = Hop("gateway", says, spot, spots=(field, annotation))
    if not plane.controller:
        try:
            exists = cluster.get(kinds.INGRESS_CLASS, "", plane.class_name) is not None
        except OutOfView as hidden:
            hop.state, hop.rbac = State.UNSEEN, hidden.gap.rbac
            hop.says = f"{says}, whose IngressClass is not seen: {hidden.gap}"
            return hop
        if not exists and not ingress.is_served(owner):
            hop.state, hop.says = State.BROKEN, f"{says} does not exist: nobody serves it"
    else:
        hop.says = f"{says}, served by {plane.controller}"
    return hop


def _tls_entries(plane: Plane, request: Request) -> list[tuple[Resource, Field]]:
    """The tls entries for the name: exact ones first, then of the older Ingress."""
    name = request.sni or request.host
    found = []
    for owner in plane.members:
        for entry in owner.each("spec", "tls"):
            listed = [n.lower() for n in entry.texts("hosts")]
            fitting = [n for n in listed if _covers(n, name)]
            if fitting:
                found.append((name not in fitting, owner.created or "~", owner.ref, owner, entry))
    return [(item[3], item[4]) for item in sorted(found, key=lambda item: item[:3])]


def _certificate(
    secured: Sequence[tuple[Resource, Field]], request: Request, cluster: Cluster
) -> list[Hop]:
    name = request.sni or request.host
    for owner, entry in secured:
        if entry.text("secretName"):
            spot = entry.at("secretName")
            return tls.shown([(spot, owner.namespace, entry.text("secretName"))], name, cluster)
    says = f"no tls entry with a Secret has {name}: the controller's default certificate"
    hop = Hop("certificate", says, secured[0][1] if secured else None, State.UNSEEN)
    hop.unverified = "which certificate the controller falls back on is not looked at"
    return [hop]


def _default_backend(
    way: Way, owner: Resource, hostname: str | None, plane: Plane, cluster: Cluster
) -> None:
    way.answers = True
    field = owner.at("spec", "defaultBackend")
    says = "the default backend: no rule takes it"
    hop = Hop("route", says, field, spots=(owner,))
    if hostname:
        hop.unverified = "whether the default backend also serves hosts that have rules"
    way.hops.append(hop)
    target = ingress_target(owner, field)
    way.branches = backends.branches([target], _caller(plane, owner, cluster), cluster)


def _taken(
    way: Way,
    winner: tuple[Resource, Field],
    tried: Sequence[tuple[Resource, Field, bool | None]],
    hostname: str,
    plane: Plane,
    request: Request,
    secured: Sequence[tuple[Resource, Field]],
    cluster: Cluster,
) -> None:
    owner, path = winner
    way.answers = True
    sort = path.text("pathType") or "ImplementationSpecific"
    says = f"{hostname or 'any host'}, {sort} {path.text('path') or '/'}"
    others = [(o, p) for o, p, passes in tried if passes and p != path]
    if others:
        told = list(dict.fromkeys(f"{o.ref} {p.text('path') or '/'}" for o, p in others))
        says += f"; before {', '.join(told[:2])}" + (
            f" and {len(told) - 2} more" if len(told) > 2 else ""
        )
    hop = Hop("route", says, path, spots=(owner.at(*path.path[:3]), owner))
    if sort == "ImplementationSpecific" or any(passes is None for _, _, passes in tried):
        hop.unverified = _NOT_KNOWN
    if plane.controller == ingress.NGINX and _uses_regex(tried):
        hop.unverified = (
            "an Ingress of this host uses regular expressions: ingress-nginx then tries all its "
            "paths as such, the longest first"
        )
    way.hops.append(hop)
    if plane.controller == ingress.NGINX and _to_https(owner, secured, request):
        way.redirect = http_rules.to(request, 308, "https", request.host, None, request.path)
        return
    target = owner.annotation(f"{_NGINX}rewrite-target")
    if target and plane.controller == ingress.NGINX:
        told_path = f"the backend is asked for {target}"
        spot = owner.at("metadata", "annotations", f"{_NGINX}rewrite-target")
        way.hops.append(Hop("filter", told_path, spot))
    way.branches = backends.branches(
        [ingress_target(owner, path.at("backend"))], _caller(plane, owner, cluster), cluster
    )


def _uses_regex(tried: Sequence[tuple[Resource, Field, bool | None]]) -> bool:
    return any(
        owner.annotation(f"{_NGINX}use-regex") == "true"
        or owner.annotation(f"{_NGINX}rewrite-target")
        for owner, _, _ in tried
    )


def _to_https(owner: Resource, secured: Sequence[tuple[Resource, Field]], request: Request) -> bool:
    """ingress-nginx sends plain requests to https where the host has a certificate, unless told not to."""
    if request.is_tls:
        return False
    if owner.annotation(f"{_NGINX}force-ssl-redirect") == "true":
        return True
    return bool(secured) and owner.annotation(f"{_NGINX}ssl-redirect") != "false"


def _caller(plane: Plane, owner: Resource, cluster: Cluster) -> Caller:
    def speaks(service: Resource, port: Field) -> Hop:
        if plane.controller == ingress.NGINX:
            given = owner.annotation(f"{_NGINX}backend-protocol").upper()
            spoken = (
                given
                if given in ("HTTP", "HTTPS", "GRPC", "GRPCS", "AUTO_HTTP", "FCGI")
                else "HTTP"
            )
            hop = backends.protocol(
                f"{spoken}{'' if given == spoken else ', the default'}",
                service,
                port,
                cluster,
                tls=spoken in ("HTTPS", "GRPCS"),
            )
            hop.spots += (owner.at("metadata", "annotations", f"{_NGINX}backend-protocol"),)
            return hop
        hop = Hop("protocol", "HTTP, unless the controller is told otherwise", port)
        hop.unverified = "what this controller speaks to a backend"
        return hop

    in_mesh: bool | None = None
    try:
        found = next(iter(outside_callers.calls(owner, cluster)), None)
    except OutOfView:
        found = None
    if found is not None and found.caller.is_outside:
        in_mesh = False
    return Caller(speaks, in_mesh)


def near(request: Request, cluster: Cluster) -> Iterator[Near]:
    """Ingresses with the host that nobody serves."""
    for owner in cluster.seen(kinds.INGRESS):
        if ingress.class_field(owner).text() or ingress.class_annotation(owner).text():
            continue
        if _default(cluster):
            continue
        for rule in owner.each("spec", "rules"):
            if rule.text("host") and _covers(rule.text("host").lower(), request.host):
                yield Near(
                    rule.at("host"), f"has {request.host}, names no class, and none is default"
                )


def names(cluster: Cluster) -> Iterator[tuple[str, Field]]:
    """Every host name of an Ingress, and where."""
    for owner in cluster.seen(kinds.INGRESS):
        for rule in owner.each("spec", "rules"):
            if rule.text("host"):
                yield rule.text("host").lower(), rule.at("host")
