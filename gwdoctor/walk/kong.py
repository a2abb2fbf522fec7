"""Kong: where it is reached, the certificate that it shows, and what its routes do.

Rules: KIC main (release 3.5) internal/dataplane/translator. Kong does not isolate listeners: every
route is served on every port of its proxy (KIC issue 2606).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    gateway_api,
    hosts,
    istio_mesh,
    kong,
    kong_plugins,
    kong_pods,
    services,
)
from gwdoctor.walk import backends, http_rules, kong_router, planes, tls
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, Way, elsewhere, unseen
from gwdoctor.walk.kong_router import PREFIX, Candidate, Plane
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
_DEFAULT_CERTIFICATE = "Kong's default certificate (CN=localhost unless KONG_SSL_CERT is set)"


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way through each Kong."""
    for plane in kong_router.planes(cluster):
        way = _through(plane, request, cluster)
        if way is not None:
            yield way


def _through(plane: Plane, request: Request, cluster: Cluster) -> Way | None:
    named = f"class {plane.name}" if plane.name else "of its Gateways"
    way = Way("Kong", ("kong", plane.name), f"Kong, {named}")
    entry, way.addresses = _entry(plane, request, cluster)
    way.hops.append(entry)
    way.hops += _listener(plane, request, cluster)
    found = sorted(
        kong_router.candidates(plane, request, cluster), key=lambda c: c.priority, reverse=True
    )
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
        hidden = elsewhere(cluster, kinds.INGRESS, kinds.HTTP_ROUTE)
        if hidden is not None:
            hop = unseen("route", hidden)
        way.hops.append(hop)
        return way
    winner, doubt = kong_router.winner(found, cluster)
    way.answers = True
    hop = Hop("route", kong_router.said(winner, passing), winner.field, spots=_spots(winner))
    hop.unverified = doubt
    way.hops.append(hop)
    _take(way, winner, request, cluster)
    return way


def _spots(winner: Candidate) -> tuple[Field, ...]:
    """A route as a whole, and of an Ingress the rule that the path stands in."""
    if winner.root.ref.kind != kinds.INGRESS:
        return (winner.root,)
    return (winner.root, winner.root.at(*winner.field.path[:3]))


def _has_listener(plane: Plane, request: Request, cluster: Cluster) -> bool:
    return any(
        one.hostname and hosts.suffix_covers(one.hostname, request.host)
        for gateway in plane.gateways
        for one in planes.listeners_of(gateway, cluster)
    )


# --- where it is reached -----------------------------------------------------------------


def _entry(plane: Plane, request: Request, cluster: Cluster) -> tuple[Hop, tuple[str, ...]]:
    """The proxy's Service, and its controllers, whose ills are ills of every route."""
    told: list[str] = []
    for gateway in plane.gateways:
        told += planes.addresses(gateway, cluster)
    for one in plane.ingresses:
        for entry in one.each("status", "loadBalancer", "ingress"):
            told += [entry.text("ip"), entry.text("hostname")]
    pods = [one.pod for one in kong_router.proxies(cluster)]
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
        told += planes.of_balancer(service)
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
                wanted <= pod.own_labels.items() for pod in pods if pod.namespace == namespace
            ):
                found[service] = None
    return sorted(found, key=lambda s: (s.text("spec", "type") != "LoadBalancer", s.ref))


def _listener(plane: Plane, request: Request, cluster: Cluster) -> Iterator[Hop]:
    """The listener that has the name on this port: Kong's router does not ask for it."""
    own = [one for gateway in plane.gateways for one in planes.listeners_of(gateway, cluster)]
    on_port = [one for one in own if one.port == request.port]
    chosen = planes.choose(on_port, request)
    if chosen is not None:
        says = (
            f"{chosen.name}, port {chosen.port} {chosen.protocol}, "
            f"{chosen.hostname or 'any name'}; Kong serves every route on every port"
        )
        hop = Hop("listener", says, chosen.field, spots=tuple(planes.about(chosen)))
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
                exact, length = hosts.specificity(fitting)
                order = (not exact, -length, 0, one.created or "~", one.ref)
                offers.append(
                    (order, entry.at("secretName"), one.namespace, entry.text("secretName"))
                )
    for gateway in plane.gateways:
        for listener in planes.listeners_of(gateway, cluster):
            if listener.tls_mode != "Terminate":
                continue
            pattern = listener.hostname.lower()
            if pattern and not hosts.suffix_covers(pattern, name):
                continue
            references = listener.field.each("tls", "certificateRefs")
            exact, length = hosts.specificity(pattern)
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


# --- what the route does -----------------------------------------------------------------


def _take(way: Way, winner: Candidate, request: Request, cluster: Cluster) -> None:
    root = winner.root
    way.hops += _plugins(root, cluster)
    if _upgraded(way, winner, request, cluster):
        return
    if winner.match is not None:
        found = http_rules.redirect_of(winner.match, request, request.scheme, request.port)
        if found is not None:
            way.redirect = found
            return
        way.hops += http_rules.filters(winner.match, request)
    told = []
    if root.annotation(f"{PREFIX}strip-path").lower() == "true":
        told.append("the matched path is stripped")
    if root.annotation(f"{PREFIX}preserve-host").lower() == "false":
        told.append("the backend is asked by its own name")
    if root.annotation(f"{PREFIX}rewrite"):
        told.append(f"the path becomes {root.annotation(f'{PREFIX}rewrite')}")
    if told:
        hop = Hop("filter", "; ".join(told), root.at("metadata", "annotations"))
        if root.annotation(f"{PREFIX}rewrite"):
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
    listed = kong_router.listed(root, "protocols")
    by_listener = False
    if not listed and winner.match is not None:
        parents = gateway_api.parents(root, cluster)
        schemes = {one.protocol for parent in parents for one in parent.attached}
        by_listener = schemes == {"HTTPS"}
    if not forced and not by_listener and (not listed or "http" in listed):
        return False
    field = root.at("metadata", "annotations", f"{PREFIX}protocols")
    status = root.annotation(f"{PREFIX}https-redirect-status-code") or ("302" if forced else "426")
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

    pods = [one.pod for one in kong_router.proxies(cluster)]
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
    for plane in kong_router.planes(cluster):
        for gateway in plane.gateways:
            for listener in planes.listeners_of(gateway, cluster):
                if listener.hostname:
                    yield listener.hostname.lower(), listener.field
