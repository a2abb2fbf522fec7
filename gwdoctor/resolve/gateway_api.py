"""Gateway API: listeners, which routes attach to them, and where routes lead.

Rules: gateway-api apis/v1 and its conformance suite, bundle 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import hosts

GROUP = "gateway.networking.k8s.io"
ROUTES = (
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.TLS_ROUTE,
    kinds.TCP_ROUTE,
    kinds.UDP_ROUTE,
)
_KINDS_OF_PROTOCOL: dict[str, tuple[str, ...]] = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute", "TCPRoute"),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}


@dataclass(frozen=True, slots=True)
class Listener:
    """One entry of `spec.listeners` of a Gateway or a ListenerSet."""

    owner: Resource
    field: Field

    @property
    def name(self) -> str:
        """What a parentRef's sectionName refers to."""
        return self.field.text("name")

    @property
    def port(self) -> int | None:
        """The port that clients use."""
        return self.field.number("port")

    @property
    def protocol(self) -> str:
        """HTTP, HTTPS, TLS, TCP, UDP, or a controller's own."""
        return self.field.text("protocol")

    @property
    def hostname(self) -> str:
        """Empty for all names."""
        return self.field.text("hostname")

    @property
    def tls_mode(self) -> str:
        """Terminate or Passthrough for HTTPS and TLS; empty for the others."""
        if self.protocol not in ("HTTPS", "TLS"):
            return ""
        return self.field.text("tls", "mode") or "Terminate"


def listeners(owner: Resource) -> tuple[Listener, ...]:
    """The listeners of a Gateway or ListenerSet."""
    return tuple(Listener(owner, field) for field in owner.each("spec", "listeners"))


def gateway_class(gateway: Resource, cluster: Cluster) -> Resource | None:
    """The GatewayClass of a Gateway, None where it does not exist."""
    return cluster.get(kinds.GATEWAY_CLASS, "", gateway.text("spec", "gatewayClassName"))


def controller(gateway: Resource, cluster: Cluster) -> str:
    """The controllerName that answers for a Gateway; empty where its class does not exist."""
    found = gateway_class(gateway, cluster)
    return found.text("spec", "controllerName") if found is not None else ""


def is_istio(controller_name: str) -> bool:
    """istio.io/gateway-controller and its siblings."""
    return controller_name.startswith("istio.io/")


def is_envoy_gateway(controller_name: str) -> bool:
    """gateway.envoyproxy.io/gatewayclass-controller, or a second installation of it."""
    return controller_name.startswith("gateway.envoyproxy.io/")


def is_kong(controller_name: str) -> bool:
    """konghq.com/kic-gateway-controller or konghq.com/gateway-operator."""
    return controller_name.startswith("konghq.com/")


@dataclass(frozen=True, slots=True)
class Parent:
    """A parentRef of a route and what it comes to.

    `owner` is the Gateway or ListenerSet, None where it does not exist. `selected` are the
    listeners that sectionName and port pick, `attached` those of them that take the route.
    """

    route: Resource
    field: Field
    owner: Resource | None
    selected: tuple[Listener, ...] = ()
    attached: tuple[Listener, ...] = ()


def parents(route: Resource, cluster: Cluster) -> tuple[Parent, ...]:
    """The Gateway and ListenerSet parents of a route (Service parents, of a mesh, are left out).

    Raises OutOfView where a parent, or the labels of the route's namespace, cannot be seen.
    """
    memo = cluster.derive(_parents_memo)
    found = memo.get(route)
    if found is None:
        found = memo[route] = tuple(_parents(route, cluster))
    return found


def _parents_memo(_: Cluster) -> dict[Resource, tuple[Parent, ...]]:
    return {}


def parent_kind(reference: Field) -> Kind | None:
    """What kind a parentRef names; None for one that is neither Gateway nor ListenerSet."""
    group = reference.text("group") if reference.has("group") else GROUP
    name = reference.text("kind") or "Gateway"
    kind = Kind(name, group)
    return kind if kind in (kinds.GATEWAY, kinds.LISTENER_SET) else None


def _parents(route: Resource, cluster: Cluster) -> Iterator[Parent]:
    for reference in route.each("spec", "parentRefs"):
        kind = parent_kind(reference)
        if kind is None:
            continue
        namespace = reference.text("namespace") or route.namespace
        owner = cluster.get(kind, namespace, reference.text("name"))
        if owner is None:
            yield Parent(route, reference, None)
            continue
        selected = tuple(
            listener
            for listener in listeners(owner)
            if reference.text("sectionName") in ("", listener.name)
            and reference.number("port") in (None, listener.port)
        )
        attached = tuple(
            listener
            for listener in selected
            if takes_kind(listener, route)
            and takes_namespace(listener, route.namespace, cluster)
            and shared_hostnames(listener, route)
        )
        yield Parent(route, reference, owner, selected, attached)


def takes_kind(listener: Listener, route: Resource) -> bool:
    """Whether a listener's protocol and allowedRoutes.kinds fit the kind of a route."""
    kind = route.ref.kind
    if kind.name not in _KINDS_OF_PROTOCOL.get(listener.protocol, (kind.name,)):
        return False
    if kind.name == "TCPRoute" and listener.tls_mode == "Passthrough":
        return False
    allowed = list(listener.field.each("allowedRoutes", "kinds"))
    return not allowed or any(
        entry.text("kind") == kind.name
        and (entry.text("group") if entry.has("group") else GROUP) == kind.group
        for entry in allowed
    )


def takes_namespace(listener: Listener, namespace: str, cluster: Cluster) -> bool:
    """Whether allowedRoutes.namespaces admits routes of a namespace (default: the owner's own)."""
    allowed = listener.field.at("allowedRoutes", "namespaces")
    match allowed.text("from") or "Same":
        case "All":
            return True
        case "Same":
            return namespace == listener.owner.namespace
        case "Selector":
            found = cluster.get(kinds.NAMESPACE, "", namespace)
            labels = dict(found.labels("metadata", "labels")) if found is not None else {}
            labels.setdefault("kubernetes.io/metadata.name", namespace)  # the server sets it
            return selects(allowed.at("selector"), labels)
        case _:
            return False


def selects(selector: Field, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches; an empty one matches all, an absent one nothing."""
    if not selector.has():
        return False
    for key, value in selector.labels("matchLabels").items():
        if labels.get(key) != value:
            return False
    for expression in selector.each("matchExpressions"):
        value = labels.get(expression.text("key"))
        values = expression.texts("values")
        fits = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }.get(expression.text("operator"), False)
        if not fits:
            return False
    return True


def shared_hostnames(listener: Listener, route: Resource) -> tuple[str, ...]:
    """The names that a route serves on a listener: `("",)` for all, `()` for none.

    TCPRoute and UDPRoute know no names and are served on every listener.
    """
    if route.ref.kind in (kinds.TCP_ROUTE, kinds.UDP_ROUTE):
        return ("",)
    wanted = route.texts("spec", "hostnames") or ("",)
    shared = (hosts.intersection(listener.hostname, name) for name in wanted)
    return tuple(name for name in shared if name is not None)


@dataclass(frozen=True, slots=True)
class BackendRef:
    """Where a rule, or one of its mirrors, leads."""

    route: Resource
    rule: Field
    field: Field
    kind: Kind
    namespace: str
    name: str
    port: int | None
    weight: int
    is_mirror: bool = False


def backend_refs(route: Resource) -> Iterator[BackendRef]:
    """Every backendRef of a route's rules, and the mirrors among their filters."""
    for rule in route.each("spec", "rules"):
        for reference in rule.each("backendRefs"):
            yield _backend(route, rule, reference)
        for step in rule.each("filters"):
            mirror = step.at("requestMirror", "backendRef")
            if step.text("type") == "RequestMirror" and mirror.has():
                yield _backend(route, rule, mirror, is_mirror=True)


def _backend(
    route: Resource, rule: Field, reference: Field, *, is_mirror: bool = False
) -> BackendRef:
    weight = reference.number("weight")
    return BackendRef(
        route,
        rule,
        reference,
        Kind(reference.text("kind") or "Service", reference.text("group")),
        reference.text("namespace") or route.namespace,
        reference.text("name"),
        reference.number("port"),
        1 if weight is None else weight,
        is_mirror,
    )
