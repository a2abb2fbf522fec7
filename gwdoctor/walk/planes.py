"""The data planes of Gateway API: their listeners, and which routes are served on each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    aws,
    envoy_gateway,
    gateway_api,
    hosts,
    kong,
)
from gwdoctor.resolve.gateway_api import Listener, Parent
from gwdoctor.walk.hops import Hop, elsewhere, unseen
from gwdoctor.walk.request import Request


@dataclass(frozen=True, slots=True)
class Attachments:
    """The routes by listener, those that are refused, and those whose parents are hidden."""

    at: Mapping[Field, Sequence[Resource]]
    refused: Sequence[Parent]
    hidden: Sequence[tuple[Resource, OutOfView]]


def attachments(cluster: Cluster) -> Attachments:
    """Where every route of Gateway API is served, once a walk."""
    return cluster.derive(_attachments)


def _attachments(cluster: Cluster) -> Attachments:
    at: dict[Field, dict[Resource, None]] = defaultdict(dict)
    refused: list[Parent] = []
    hidden: list[tuple[Resource, OutOfView]] = []
    for kind in gateway_api.ROUTES:
        for route in cluster.seen(kind):
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
    return Attachments({spot: tuple(routes) for spot, routes in at.items()}, refused, hidden)


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


def fed_by_tls(listener: Listener, cluster: Cluster) -> bool:
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
    return max(right, key=lambda one: hosts.specificity(one.hostname), default=None)


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


def no_route(says: str, listener: Listener, hidden: OutOfView | None) -> Hop:
    """The hop where no route takes the request; not seen where some may be hidden."""
    if hidden is not None:
        hop = unseen("route", hidden)
        hop.says = f"{says} that is seen ({hop.says})"
        return hop
    return Hop("route", says, listener.field, State.BROKEN)


def may_hide(listener: Listener, cluster: Cluster) -> OutOfView | None:
    """Why there may be routes of a listener that are not seen."""
    fitting = [kind for kind in gateway_api.ROUTES if gateway_api.fits_protocol(listener, kind)]
    hidden = elsewhere(cluster, *fitting)
    own = listener.owner.namespace
    if hidden is not None and not hidden.gap.rbac and cluster.namespaces is not None:
        takes = listener.field.text("allowedRoutes", "namespaces", "from") or "Same"
        if takes == "Same" and own in cluster.namespaces:
            return None
    return hidden


def about(listener: Listener) -> Iterator[Field]:
    """The places beside its own entry that speak of a listener."""
    owner = listener.owner
    yield owner
    if listener.tls_mode:
        yield owner.at("spec", "tls")
    for entry in owner.each("status", "listeners"):
        if entry.text("name") == listener.name:
            yield entry
