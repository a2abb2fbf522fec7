"""Istio gateways: which Pods a Gateway programs, and what istiod makes of its servers there.

The unit is the `servers[]` entry on a *workload* (router Pods that take one configuration),
not the Gateway resource. Rules: istio/istio 1.32, pilot/pkg/model/gateway.go (mergeGateways,
resolvePorts, CheckDuplicates) and pilot/pkg/networking/core/gateway.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import gateway_api, istio_mesh
from gwdoctor.resolve.certificates import CredentialUse

#: What holds servers.
GATEWAYS = (kinds.ISTIO_GATEWAY, kinds.GATEWAY)
#: What finding the servers of every workload reads beside them.
READS = (
    kinds.GATEWAY_CLASS,
    kinds.POD,
    kinds.POD_WHOLE,
    kinds.SERVICE,
)

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
REVISION = "istio.io/rev"
#: Labels that tell Pods of one Deployment apart.
_OF_ONE_POD = frozenset(
    {
        "pod-template-hash",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    }
)
_NO_TRANSLATION = "experimental.istio.io/disable-gateway-port-translation"
_CLEAR_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_TERMINATING = frozenset({"SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL"})
#: tls.options["gateway.istio.io/tls-terminate-mode"] of a Gateway API listener.
_LISTENER_MODES = {"ISTIO_SIMPLE": "SIMPLE"}


def mesh_revision(resource: Resource) -> str:
    """The control plane revision that an object is meant for; empty for any."""
    return resource.label(REVISION)


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One `servers[]` entry of a Gateway, or one listener of a Gateway API Gateway."""

    owner: Resource
    field: Field
    number: int
    protocol: str  #: upper case
    mode: str  #: tls.mode; empty without TLS
    bind: str
    hosts: tuple[str, ...]  #: `name` or `namespace/name`; `./` filled in, `*/` taken off

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS parts of the hosts, in lower case."""
        return tuple(dict.fromkeys(host.rpartition("/")[2].lower() for host in self.hosts))

    @property
    def is_listener(self) -> bool:
        """Whether it comes from Gateway API."""
        return self.owner.ref.kind != kinds.ISTIO_GATEWAY

    @property
    def is_tls(self) -> bool:
        """Whether Envoy chooses it by SNI. An HTTP server with httpsRedirect is not."""
        return bool(self.mode) and self.protocol not in _CLEAR_HTTP

    @property
    def terminates_https(self) -> bool:
        """Whether it ends TLS and routes HTTP: the servers whose connections are reused."""
        return self.protocol == "HTTPS" and self.mode in _TERMINATING

    @property
    def redirects(self) -> bool:
        """Whether it sends every plain HTTP request to HTTPS."""
        return self.field.flag("tls", "httpsRedirect") is True

    @property
    def spot(self) -> Field:
        """What to point at: the credential, or else the entry."""
        for steps in (
            ("tls", "credentialName"),
            ("tls", "credentialNames"),
            ("tls", "certificateRefs"),
        ):
            if self.field.has(*steps):
                return self.field.at(*steps)
        return self.field

    def __str__(self) -> str:
        name = self.field.text("name") or self.field.text("port", "name")
        return f"{self.owner.ref}{f' ({name})' if name else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """A server that istiod leaves out, and the one that was there before it."""

    server: Server
    by: Server
    host: str  #: the host that both name; empty where the protocols do not go together


@dataclass(frozen=True, slots=True, eq=False)
class Socket:
    """What one Envoy listens on, and the servers behind it, in istiod's order."""

    workload: Workload
    port: int | str  #: the container's; `service:port` where its number could not be seen
    bind: str
    servers: tuple[Server, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Router Pods that nothing tells apart, and the servers that are programmed on them.

    Where no Pod of a selector can be seen it stands for those Pods: `namespace` is empty, and
    `labels` is the selector.
    """

    namespace: str
    labels: Mapping[str, str]
    pods: tuple[Resource, ...]
    services: tuple[Resource, ...]
    servers: tuple[Server, ...]
    _targets: Mapping[int, int | str] = field(default_factory=dict)

    @property
    def is_seen(self) -> bool:
        """Whether its Pods are in the picture."""
        return bool(self.pods)

    def target(self, number: int) -> int | str:
        """The container port that a server's port number comes to."""
        return self._targets.get(number, number)

    def sockets(self) -> Iterator[Socket]:
        """Its servers, merged as istiod merges them."""
        by_port: dict[tuple[int | str, str], list[Server]] = defaultdict(list)
        for server in self.servers:
            by_port[self.target(server.number), server.bind].append(server)
        for (port, bind), servers in by_port.items():
            kept, dropped = _merged(servers)
            yield Socket(self, port, bind, kept, dropped)


def _merged(servers: Sequence[Server]) -> tuple[tuple[Server, ...], tuple[Dropped, ...]]:
    """Who stays on one port and address: the first comes first, and a server goes as a whole.

    A host is compared with its namespace prefix, and of servers with a `tls` block only (which
    an HTTP server with httpsRedirect has). A plain server that was first keeps TLS and TCP out;
    after TLS, plain HTTP may join.
    """
    known: dict[str, Server] = {}
    plain: Server | None = None
    kept: list[Server] = []
    dropped: list[Dropped] = []
    for server in servers:
        if server.field.has("tls"):
            host = next((host for host in server.hosts if host in known), "")
            if host:
                dropped.append(Dropped(server, known[host], host))
                continue
            if len(set(server.hosts)) < len(server.hosts):
                host = next(h for h in server.hosts if server.hosts.count(h) > 1)
                dropped.append(Dropped(server, server, host))
                continue
        clear = server.protocol in _CLEAR_HTTP
        if plain is not None and (plain.protocol in _CLEAR_HTTP) != clear:
            dropped.append(Dropped(server, plain, ""))
            continue
        if not kept and not server.is_tls:
            plain = server
        if server.field.has("tls"):
            known.update(dict.fromkeys(server.hosts, server))
        kept.append(server)
    return tuple(kept), tuple(dropped)


def servers_of(gateway: Resource) -> tuple[Server, ...]:
    """The servers of a classic Gateway. Entries without a port or a host program nothing."""
    found = []
    for entry in gateway.each("spec", "servers"):
        number = entry.number("port", "number")
        hosts = tuple(_literal(host, gateway.namespace) for host in entry.texts("hosts"))
        if number is None or not hosts:
            continue
        protocol = entry.text("port", "protocol").upper()
        mode = entry.text("tls", "mode") or ("SIMPLE" if _is_secured(entry) else "")
        found.append(Server(gateway, entry, number, protocol, mode, entry.text("bind"), hosts))
    return tuple(found)


def _is_secured(entry: Field) -> bool:
    """A `tls` block without a mode is SIMPLE on a TLS port; on an HTTP one it holds a redirect."""
    return entry.has("tls") and entry.text("port", "protocol").upper() in ("HTTPS", "TLS")


def _literal(host: str, namespace: str) -> str:
    prefix, slash, name = host.partition("/")
    if not slash:
        return host
    return {".": f"{namespace}/{name}", "*": name}.get(prefix, host)


def listeners_of(gateway: Resource) -> tuple[Server, ...]:
    """The listeners of a Gateway API Gateway that Istio runs: each is a Gateway of one server."""
    found = []
    for listener in gateway_api.listeners(gateway):
        if listener.port is None:
            continue
        options = listener.field.labels("tls", "options")
        mode = {"Terminate": "SIMPLE", "Passthrough": "PASSTHROUGH"}.get(listener.tls_mode, "")
        if mode == "SIMPLE":
            wanted = options.get("gateway.istio.io/tls-terminate-mode", "SIMPLE")
            mode = _LISTENER_MODES.get(wanted, wanted)
        host = listener.hostname or "*"
        found.append(
            Server(
                gateway, listener.field, listener.port, listener.protocol.upper(), mode, "", (host,)
            )
        )
    return tuple(found)


# --- workloads ---------------------------------------------------------------------------


def is_router(pod: Resource, cluster: Cluster) -> bool | None:
    """Whether a Pod runs Istio's proxy as a gateway; None where nothing tells."""
    if _is_waypoint(pod):
        return False
    if istio_mesh.is_gateway(pod) and _is_of_istio(pod):
        return True
    try:
        whole = cluster.whole(pod)
    except OutOfView:  # a Pod whose containers were not read may be one
        return None
    containers = list(whole.each("spec", "containers"))
    if any("router" in container.texts("args") for container in containers):
        return True
    return False if containers else None


def _is_waypoint(pod: Resource) -> bool:
    return pod.label("gateway.istio.io/managed") == "istio.io-mesh-controller"


def _is_of_istio(pod: Resource) -> bool:
    """Other controllers label their proxies with the Gateway's name too."""
    if not pod.label(GATEWAY_NAME):
        return True
    keys = {**pod.own_labels, **pod.annotations}
    return any("istio.io/" in key for key in keys)


def workloads(cluster: Cluster) -> tuple[Workload, ...]:
    """Every gateway workload, and the servers programmed on it in istiod's order.

    Reads `GATEWAYS` and `READS`. Gateways whose Pods are not in the picture are put together by selector.
    """
    return cluster.derive(_workloads)


_Selector = tuple[tuple[str, str], ...]
_Key = tuple[str, _Selector]


def _selector(gateway: Resource) -> _Selector:
    return tuple(sorted(gateway.labels("spec", "selector").items()))


def _workloads(cluster: Cluster) -> tuple[Workload, ...]:
    gateways: dict[_Selector, list[Resource]] = defaultdict(list)
    for gateway in _seen(cluster, kinds.ISTIO_GATEWAY):
        gateways[_selector(gateway)].append(gateway)
    managed = {
        (gateway.namespace, gateway.name): gateway
        for gateway in _seen(cluster, kinds.GATEWAY)
        if _is_istio(gateway, cluster)
    }
    groups = _groups(cluster, tuple(gateways), managed)
    found: list[Workload] = []
    homeless = set(gateways)
    unplaced = set(managed)
    for (namespace, _), pods in sorted(groups.items()):
        first = pods[0]
        owner = (namespace, first.label(GATEWAY_NAME))
        labels = first.own_labels
        servers: list[Server] = []
        for selector, members in gateways.items():
            if all(labels.get(key) == value for key, value in selector):
                homeless.discard(selector)
                for gateway in members:
                    if _programs(gateway, first):
                        servers += servers_of(gateway)
        if owner in managed:
            unplaced.discard(owner)
            servers += listeners_of(managed[owner])
        found.append(_workload(cluster, namespace, pods, servers))
    return (
        *found,
        *_by_selector({s: gateways[s] for s in homeless}),
        *(_of_listeners(managed[owner]) for owner in sorted(unplaced)),
    )


def _seen(cluster: Cluster, kind: Kind) -> Sequence[Resource]:
    """What is seen of a kind; a mesh of classic Gateways needs no Gateway API, nor the reverse."""
    return cluster[kind] if cluster.may_hold(kind) else ()


def _is_istio(gateway: Resource, cluster: Cluster) -> bool:
    """Istio's own ingress classes; a waypoint serves no clients from outside."""
    if gateway.text("spec", "gatewayClassName") in ("istio-waypoint", "istio-east-west"):
        return False
    try:
        return gateway_api.is_istio(gateway_api.controller(gateway, cluster))
    except OutOfView:  # files hold no GatewayClass: istiod makes this one itself
        return gateway.text("spec", "gatewayClassName") == "istio"


def _programs(gateway: Resource, pod: Resource) -> bool:
    """Whether istiod takes this Gateway to this router (revision, managed Pods)."""
    revision, own = mesh_revision(gateway), mesh_revision(pod)
    if revision and own and revision != own:
        return False
    # PILOT_ENABLE_STRICT_GATEWAY_MERGING: Pods of a Gateway API Gateway stay in their namespace
    return not pod.label(GATEWAY_NAME) or gateway.namespace == pod.namespace


def _groups(
    cluster: Cluster,
    selectors: Iterable[_Selector],
    managed: Mapping[tuple[str, str], Resource],
) -> dict[_Key, list[Resource]]:
    """Router Pods by what tells them apart: the labels that Gateways and Services select by."""
    selectors = tuple(selectors)
    pods: dict[Resource, None] = {}
    try:
        for selector in selectors:
            for pod in cluster.select(kinds.POD, dict(selector)):
                router = is_router(pod, cluster)
                # without a selector a Gateway is for every router, so one must be known for it
                if router or (router is None and selector):
                    pods[pod] = None
        for namespace, name in managed:
            for pod in cluster.select(kinds.POD, {GATEWAY_NAME: name}):
                if pod.namespace == namespace:
                    pods[pod] = None
    except OutOfView:  # no Pod can be seen: the selectors must do
        return {}
    keys = {key for selector in selectors for key, _ in selector} | {GATEWAY_NAME, REVISION}
    by_namespace = {
        namespace: keys | _service_keys(cluster, namespace)
        for namespace in {pod.namespace for pod in pods}
    }
    groups: dict[_Key, list[Resource]] = defaultdict(list)
    for pod in pods:
        labels = pod.own_labels
        telling = sorted(key for key in by_namespace[pod.namespace] if key in labels)
        groups[pod.namespace, tuple((key, labels[key]) for key in telling)].append(pod)
    return groups


def _service_keys(cluster: Cluster, namespace: str) -> set[str]:
    keys = {
        key
        for service in _services_in(cluster, namespace)
        for key in service.labels("spec", "selector")
    }
    return keys - _OF_ONE_POD


def _services_in(cluster: Cluster, namespace: str) -> Sequence[Resource]:
    try:
        return cluster.within(kinds.SERVICE, namespace)
    except OutOfView:  # without its Services a server's port number is taken as it is
        return ()


def _workload(
    cluster: Cluster, namespace: str, pods: Sequence[Resource], servers: Iterable[Server]
) -> Workload:
    shared = set(pods[0].own_labels.items())
    for pod in pods[1:]:
        shared &= pod.own_labels.items()
    labels = {key: value for key, value in sorted(shared) if key not in _OF_ONE_POD}
    services = tuple(
        service
        for service in sorted(_services_in(cluster, namespace), key=istio_mesh.age)
        if service.labels("spec", "selector")
        and service.labels("spec", "selector").items() <= labels.items()
    )
    ordered = tuple(sorted(servers, key=_age))
    targets = _targets(cluster, services, pods[0])
    return Workload(namespace, labels, tuple(pods), services, ordered, targets)


def _age(server: Server) -> tuple[object, ...]:
    """istiod's order. A manifest without a creationTimestamp would be created now."""
    owner = server.owner
    age = (owner.created or "~", owner.name, owner.namespace)
    return (*age, owner.ref.kind, server.field.path[-1])


def _targets(
    cluster: Cluster, services: Iterable[Resource], pod: Resource
) -> Mapping[int, int | str]:
    """Port of a Service to port of the container: a server's number is looked up there first."""
    targets: dict[int, int | str] = {}
    for service in services:
        if service.label(_NO_TRANSLATION) == "true":
            continue
        for port in service.each("spec", "ports"):
            number = port.number("port")
            if number is None or port.text("protocol") not in ("", "TCP"):
                continue
            target: int | str = port.number("targetPort") or number
            if port.text("targetPort"):
                target = _container_port(cluster, pod, port.text("targetPort"))
            targets.setdefault(number, target)
    return targets


def _container_port(cluster: Cluster, pod: Resource, name: str) -> int | str:
    """The number of a named container port; the name itself where the Pod's ports were not read."""
    try:
        whole = cluster.whole(pod)
    except OutOfView:
        return name
    for container in whole.each("spec", "containers"):
        for port in container.each("ports"):
            if port.text("name") == name:
                return port.number("containerPort") or name
    return name


def _by_selector(gateways: Mapping[_Selector, list[Resource]]) -> Iterator[Workload]:
    """A workload for each selector that is not part of another: its Pods take both's servers."""
    selectors = sorted(gateways, key=lambda s: (-len(s), s))
    widest: list[frozenset[tuple[str, str]]] = []
    for selector in selectors:
        labels = frozenset(selector)
        if any(labels < other for other in widest):
            continue
        widest.append(labels)
    for labels in widest:
        members = [
            server
            for selector in selectors
            if labels.issuperset(selector)
            for gateway in gateways[selector]
            for server in servers_of(gateway)
        ]
        yield Workload("", dict(sorted(labels)), (), (), tuple(sorted(members, key=_age)))


def _of_listeners(gateway: Resource) -> Workload:
    """The Pods that istiod makes for a Gateway API Gateway, where they are not in the picture."""
    servers = listeners_of(gateway)
    return Workload(gateway.namespace, {GATEWAY_NAME: gateway.name}, (), (), servers)


# --- credentials -------------------------------------------------------------------------


def credential_names(server: Server) -> Iterator[tuple[Field, str, str]]:
    """(field, namespace, name) of the Secrets that a server presents certificates from.

    The namespace is empty for the one of the gateway Pods. References that cannot be a Secret
    (`builtin://`, a file, another namespace than the Pods') are left out.
    """
    if server.is_listener:
        for reference in server.field.each("tls", "certificateRefs"):
            if reference.text("kind") in ("", "Secret") and not reference.text("group"):
                namespace = reference.text("namespace") or server.owner.namespace
                yield reference, namespace, reference.text("name")
        return
    single = server.field.at("tls", "credentialName")
    several = list(server.field.each("tls", "credentialNames"))
    for entry in [single] if single.text() else several:
        scheme, sign, rest = entry.text().partition("://")
        if not sign:
            yield entry, "", entry.text()
        elif scheme == "kubernetes" and rest:
            namespace, _, name = rest.rpartition("/")
            yield entry, namespace, name


def credentials(cluster: Cluster) -> Iterator[CredentialUse]:
    """Every use of a Secret as server certificate by a classic Gateway, in the Pods' namespace.

    Gateways whose Pods are not in the picture are left out: their Secrets' namespace is not known.
    """
    seen: set[tuple[Field, str]] = set()
    for workload in workloads(cluster):
        if not workload.namespace:
            continue
        for server in workload.servers:
            if server.is_listener or server.mode not in _TERMINATING:
                continue
            for entry, namespace, name in credential_names(server):
                if (
                    namespace in ("", workload.namespace)
                    and (entry, workload.namespace) not in seen
                ):
                    seen.add((entry, workload.namespace))
                    yield CredentialUse(entry, server.owner, workload.namespace, name, server.names)
