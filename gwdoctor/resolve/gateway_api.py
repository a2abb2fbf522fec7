"""Gateway API: listeners, which routes attach to them, and where routes lead.

Rules: gateway-api apis/v1 and its conformance suite, bundle 1.6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Kind, Resource, of_resource
from gwdoctor.resolve import hosts, status

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


def all_listeners(gateway: Resource, cluster: Cluster) -> tuple[Listener, ...]:
    """The listeners of a Gateway, then those of the ListenerSets that it admits, oldest first.

    A Selector is taken to admit: for what needs certainty there is `admits_set`. Raises OutOfView
    where ListenerSets cannot be seen.
    """
    sets = listener_sets(gateway, cluster)
    match gateway.text("spec", "allowedListeners", "namespaces", "from"):
        case "All" | "Selector":
            admitted = sets
        case "Same":
            admitted = tuple(s for s in sets if s.namespace == gateway.namespace)
        case _:
            admitted = ()
    return tuple(one for owner in (gateway, *admitted) for one in listeners(owner))


def listener_sets(gateway: Resource, cluster: Cluster) -> Sequence[Resource]:
    """The ListenerSets that name a Gateway, admitted or not, in order of precedence."""
    return cluster.derive(_listener_sets).get((gateway.namespace, gateway.name), ())


def _listener_sets(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    """ListenerSets by (namespace, name) of the Gateway they name, in order of precedence."""
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for listener_set in sorted(
        cluster[kinds.LISTENER_SET], key=lambda s: (s.created or "~", s.namespace, s.name)
    ):
        reference = listener_set.at("spec", "parentRef")
        namespace = reference.text("namespace") or listener_set.namespace
        found[namespace, reference.text("name")].append(listener_set)
    return found


def admits_set(gateway: Resource, listener_set: Resource, cluster: Cluster) -> bool:
    """Whether allowedListeners of a Gateway admits a ListenerSet (default: none)."""
    allowed = gateway.at("spec", "allowedListeners", "namespaces")
    match allowed.text("from"):
        case "All":
            return True
        case "Same":
            return listener_set.namespace == gateway.namespace
        case "Selector":
            labels = namespace_labels(listener_set.namespace, cluster)
            return selects(allowed.at("selector"), labels)
        case _:
            return False


def namespace_labels(namespace: str, cluster: Cluster) -> Mapping[str, str]:
    """The labels of a namespace, with the one of its name that the API server sets."""
    found = cluster.get(kinds.NAMESPACE, "", namespace)
    labels = dict(found.own_labels) if found is not None else {}
    labels.setdefault("kubernetes.io/metadata.name", namespace)
    return labels


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


#: What `parents` reads, for a check whose subjects are routes.
PARENT_NEEDS = (kinds.GATEWAY, kinds.LISTENER_SET, kinds.NAMESPACE)


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
    return cluster.derive(_parents, route)


def named(kind: Kind, name: str, cluster: Cluster) -> Sequence[Resource]:
    """What is seen of a kind under a name, in whatever namespace."""
    return cluster.derive(_by_name, kind).get(name, ())


def _by_name(cluster: Cluster, kind: Kind) -> Mapping[str, Sequence[Resource]]:
    index: dict[str, list[Resource]] = defaultdict(list)
    for resource in cluster[kind]:
        index[resource.name].append(resource)
    return index


def gateways_by_class(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    """The Gateways that are seen, by gatewayClassName."""
    return cluster.derive(_gateways_by_class)


def _gateways_by_class(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for gateway in cluster[kinds.GATEWAY]:
        found[gateway.text("spec", "gatewayClassName")].append(gateway)
    return found


def parent_kind(reference: Field) -> Kind | None:
    """What kind a parentRef names; None for one that is neither Gateway nor ListenerSet."""
    group = reference.text("group") if reference.has("group") else GROUP
    name = reference.text("kind") or "Gateway"
    kind = Kind(name, group)
    return kind if kind in (kinds.GATEWAY, kinds.LISTENER_SET) else None


def _parents(cluster: Cluster, route: Resource) -> tuple[Parent, ...]:
    return tuple(_each_parent(route, cluster))


def _each_parent(route: Resource, cluster: Cluster) -> Iterator[Parent]:
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
        attached = tuple(one for one in selected if attaches(one, route, cluster))
        yield Parent(route, reference, owner, selected, attached)


def attaches(listener: Listener, route: Resource, cluster: Cluster) -> bool:
    """Whether a listener takes a route that names it: kind, namespace and host names."""
    return (
        takes_kind(listener, route)
        and takes_namespace(listener, route.namespace, cluster)
        and bool(shared_hostnames(listener, route))
    )


def refusal(parent: Parent, cluster: Cluster) -> str:
    """Why a parent does not take the route, as the reason of the Accepted condition; empty if it does.

    Judged in the order of the specification, so that the first thing to mend is the one told.
    """
    if parent.owner is None:
        return "ParentNotFound"
    if not parent.selected:
        return "NoMatchingParent"
    allowed = [one for one in parent.selected if takes_kind(one, parent.route)]
    if not allowed:
        return "KindNotAllowed"
    namespace = parent.route.namespace
    if not any(takes_namespace(one, namespace, cluster) for one in allowed):
        return "NamespaceNotAllowed"
    return "" if parent.attached else "NoMatchingListenerHostname"


def parent_condition(route: Resource, reference: Field, kind: str) -> Field | None:
    """What a controller says about a route at one parent, if it speaks of the route as it is.

    Where several controllers wrote, one that says True wins: the others do not own the Gateway.
    """
    wanted = _parent_key(reference, route.namespace)
    said = [
        condition
        for entry in route.each("status", "parents")
        if _parent_key(entry.at("parentRef"), route.namespace) == wanted
        for condition in (status.condition(entry, kind),)
        if condition is not None and status.is_current(route, condition)
    ]
    return next((c for c in said if c.text("status") == "True"), said[0] if said else None)


def accepted(parent: Parent) -> bool | None:
    """What the controller says about a route at this parent; None where nobody has spoken."""
    said = parent_condition(parent.route, parent.field, "Accepted")
    if said is None or said.text("status") not in ("True", "False"):
        return None
    return said.text("status") == "True"


def _parent_key(reference: Field, namespace: str) -> tuple[object, ...]:
    return (
        reference.text("group") if reference.has("group") else GROUP,
        reference.text("kind") or "Gateway",
        reference.text("namespace") or namespace,
        reference.text("name"),
        reference.text("sectionName"),
        reference.number("port"),
    )


def listener_condition(listener: Listener, kind: str) -> Field | None:
    """What the controller says about a listener, if it speaks of its owner as it is."""
    for entry in listener.owner.each("status", "listeners"):
        if entry.text("name") == listener.name:
            found = status.condition(entry, kind)
            if found is not None and status.is_current(listener.owner, found):
                return found
    return None


def is_accepted(listener: Listener, kind: str) -> bool:
    """Whether the controller is content with this side of a listener (so that we are wrong)."""
    found = listener_condition(listener, kind)
    return found is not None and found.text("status") == "True"


def section_of(reference: Field) -> str:
    """What a parentRef picks of its parent; tells several to one parent apart."""
    return f"{reference.text('sectionName')}:{reference.number('port') or ''}"


def gateway_of(owner: Resource, cluster: Cluster) -> Resource | None:
    """The Gateway of a ListenerSet, a Gateway itself; None where it does not exist."""
    if owner.ref.kind == kinds.GATEWAY:
        return owner
    reference = owner.at("spec", "parentRef")
    namespace = reference.text("namespace") or owner.namespace
    return cluster.get(kinds.GATEWAY, namespace, reference.text("name"))


def fits_protocol(listener: Listener, kind: Kind) -> bool:
    """Whether routes of a kind can be served on a listener of this protocol and TLS mode."""
    if kind.group != GROUP:
        return True  # a controller's own: nobody else knows
    if kind.name not in _KINDS_OF_PROTOCOL.get(listener.protocol, (kind.name,)):
        return False
    return kind.name != "TCPRoute" or listener.tls_mode != "Passthrough"


def takes_kind(listener: Listener, route: Resource) -> bool:
    """Whether a listener's protocol and allowedRoutes.kinds fit the kind of a route."""
    kind = route.ref.kind
    if not fits_protocol(listener, kind):
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
            return selects(allowed.at("selector"), namespace_labels(namespace, cluster))
        case _:
            return False


def selects(selector: Field, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches; an empty one matches all, an absent one nothing."""
    if not selector.has():
        return False
    if any(labels.get(key) != wanted for key, wanted in selector.labels("matchLabels").items()):
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


@of_resource
def backend_refs(route: Resource) -> tuple[BackendRef, ...]:
    """Every backendRef of a route's rules, and the mirrors among their filters."""
    return tuple(_backend_refs(route))


def _backend_refs(route: Resource) -> Iterator[BackendRef]:
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


def users_of(backend: Resource, cluster: Cluster) -> tuple[Field, ...]:
    """The backendRefs, of the routes that are seen, that lead to a Service or Backend."""
    ref = backend.ref
    return users_of_name(ref.kind, ref.namespace, ref.name, cluster)


def users_of_name(kind: Kind, namespace: str, name: str, cluster: Cluster) -> tuple[Field, ...]:
    """`users_of` by name."""
    return tuple(cluster.derive(_users).get((kind, namespace, name), ()))


def _users(cluster: Cluster) -> Mapping[tuple[Kind, str, str], Sequence[Field]]:
    found: dict[tuple[Kind, str, str], list[Field]] = defaultdict(list)
    for kind in ROUTES:
        for route in cluster[kind] if cluster.sees(kind) else ():
            for backend in backend_refs(route):
                found[backend.kind, backend.namespace, backend.name].append(backend.field)
    return found
