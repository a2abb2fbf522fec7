"""The Istio mesh: its settings, its host names, who is in it, and what a port is taken to speak.

Rules: istio/istio 1.32 (pilot/pkg/model, pkg/config), unless a function names its own source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource

ALL = ("*",)


@dataclass(frozen=True, slots=True)
class Mesh:
    """What the mesh configuration says, or Istio's defaults where it could not be read.

    `seen` tells the two apart. Read from the ConfigMaps `istio` (`mesh`) and
    `istio-sidecar-injector` (`values`), or those of a revision.
    """

    root_namespace: str = "istio-system"
    domain: str = "cluster.local"
    auto_mtls: bool = True
    registry_only: bool = False
    dns_capture: bool = False  #: sidecars answer DNS, so every host has an address of its own
    default_export: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    seen: bool = False
    domain_seen: bool = False


def mesh(cluster: Cluster) -> Mesh:
    """The settings of the mesh. Reads CONFIG_MAP; never raises OutOfView: see `Mesh.seen`."""
    return cluster.derive(_mesh)


def _mesh(cluster: Cluster) -> Mesh:
    owner, settings = _config(cluster, "istio", "mesh")
    _, values = _config(cluster, "istio-sidecar-injector", "values")
    proxy = _mapping(_mapping(values, "global"), "proxy")
    policy = _mapping(settings, "outboundTrafficPolicy")
    metadata = _mapping(_mapping(settings, "defaultConfig"), "proxyMetadata")
    exports = {
        kinds.VIRTUAL_SERVICE: "defaultVirtualServiceExportTo",
        kinds.DESTINATION_RULE: "defaultDestinationRuleExportTo",
        kinds.SERVICE: "defaultServiceExportTo",
        kinds.SERVICE_ENTRY: "defaultServiceExportTo",
    }
    return Mesh(
        root_namespace=str(settings.get("rootNamespace") or owner or "istio-system"),
        domain=str(proxy.get("clusterDomain") or "cluster.local"),
        auto_mtls=settings.get("enableAutoMtls") is not False,
        registry_only=policy.get("mode") == "REGISTRY_ONLY",
        dns_capture=str(metadata.get("ISTIO_META_DNS_CAPTURE")).lower() == "true",
        default_export={kind: _texts(settings.get(key)) for kind, key in exports.items()},
        seen=bool(owner),
        domain_seen=bool(proxy.get("clusterDomain")),
    )


def _config(cluster: Cluster, name: str, key: str) -> tuple[str, dict[str, Any]]:
    """Namespace and parsed content of the control plane's ConfigMap, of any revision."""
    try:
        seen = cluster[kinds.CONFIG_MAP]
    except OutOfView:
        return "", {}
    for found in sorted(seen, key=lambda m: (m.name != name, m.ref)):
        if (found.name == name or found.name.startswith(f"{name}-")) and found.text("data", key):
            return found.namespace, _yaml(found.text("data", key))
    return "", {}


def _yaml(text: str) -> dict[str, Any]:
    import yaml  # only a cluster with Istio pays for it

    try:
        value = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return {}  # istiod keeps its last good settings: as good as not seen
    return value if isinstance(value, dict) else {}


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


# --- names -------------------------------------------------------------------------------


def full_host(host: str, namespace: str, cluster: Cluster) -> str:
    """A host as Istio reads it in a resource of this namespace: only a name without a dot grows.

    `web.default` and `web.default.svc` stay as they are, and name no Kubernetes Service.
    """
    plain = host.lower().rstrip(".")
    if plain == host:
        plain = host  # thousands of them are kept: not as a copy each
    if not plain or "." in plain or plain.startswith("*"):
        return plain
    return f"{plain}.{namespace}.svc.{mesh(cluster).domain}"


def service_key(host: str, namespace: str, cluster: Cluster) -> tuple[str, str] | None:
    """(namespace, name) of the Kubernetes Service that a host names; None where it names none.

    Where the cluster domain could not be read, anything after `.svc.` is taken for it.
    """
    name, _, rest = full_host(host, namespace, cluster).partition(".")
    owner, _, suffix = rest.partition(".")
    if not (name and owner) or "*" in name:
        return None
    settings = mesh(cluster)
    if suffix == f"svc.{settings.domain}":
        return owner, name
    if suffix.startswith("svc.") and not settings.domain_seen:
        return owner, name
    return None


def service_of(host: str, namespace: str, cluster: Cluster) -> Resource | None:
    """The Service that a host in a resource of this namespace names; None where there is none.

    Reads SERVICE and CONFIG_MAP. Raises OutOfView where the Service may exist unseen.
    """
    return cluster.derive(_service_of, full_host(host, namespace, cluster))


def _service_of(cluster: Cluster, host: str) -> Resource | None:
    key = service_key(host, "", cluster)
    return cluster.get(kinds.SERVICE, *key) if key else None


def host_of(service: Resource, cluster: Cluster) -> str:
    """The full host name of a Service."""
    return f"{service.name}.{service.namespace}.svc.{mesh(cluster).domain}"


def generalisations(host: str) -> Iterator[str]:
    """A host and every wildcard that covers it, most specific first."""
    yield host
    rest = host.removeprefix("*.") if host.startswith("*.") else host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if host != "*":
        yield "*"


def service_entries(host: str, cluster: Cluster) -> Sequence[Resource]:
    """The ServiceEntries for a host: of its own name, or else of the wildcards that cover it."""
    index = cluster.derive(_service_entries)
    return next((index[name] for name in generalisations(host.lower()) if name in index), ())


def _service_entries(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    index: dict[str, list[Resource]] = defaultdict(list)
    for entry in cluster[kinds.SERVICE_ENTRY]:
        for host in entry.texts("spec", "hosts"):
            index[host.lower()].append(entry)
    return index


def exports(resource: Resource, cluster: Cluster) -> tuple[str, ...]:
    """Where a Service, VirtualService, DestinationRule or ServiceEntry can be seen.

    Namespaces, or `*`; empty for nowhere (`~`).
    """
    if resource.ref.kind == kinds.SERVICE:
        wanted = tuple(
            part.strip()
            for part in resource.annotation("networking.istio.io/exportTo").split(",")
            if part.strip()
        )
    else:
        wanted = resource.texts("spec", "exportTo")
    wanted = wanted or mesh(cluster).default_export.get(resource.ref.kind, ()) or ALL
    if "*" in wanted:
        return ALL
    return tuple(resource.namespace if w == "." else w for w in wanted if w != "~")


def is_exported(resource: Resource, namespace: str, cluster: Cluster) -> bool:
    """Whether proxies of a namespace see this resource."""
    seen_in = exports(resource, cluster)
    return seen_in == ALL or namespace in seen_in


def age(resource: Resource) -> tuple[str, str, str]:
    """The order in which istiod takes resources: oldest first, then by name and namespace."""
    return resource.created, resource.name, resource.namespace


def by_age(cluster: Cluster, kind: Kind) -> Sequence[Resource]:
    """What is seen of a kind, in that order. Raises OutOfView where none of it can be seen."""
    return cluster.derive(_by_age, kind)


def _by_age(cluster: Cluster, kind: Kind) -> Sequence[Resource]:
    return sorted(cluster[kind], key=age)


# --- membership --------------------------------------------------------------------------

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


def has_sidecar(pod: Resource) -> bool:
    """Whether the injector gave this Pod an Istio proxy (it marks what it changed)."""
    return bool(pod.annotation("sidecar.istio.io/status")) or (
        pod.label("security.istio.io/tlsMode") == "istio"
    )


def is_gateway(pod: Resource) -> bool:
    """Whether this Pod is an Istio gateway, as far as its metadata tells."""
    return (
        "gateway" in pod.annotation("inject.istio.io/templates")
        or bool(pod.label(GATEWAY_NAME))
        or "Gateways" in pod.label("operator.istio.io/component")
        or pod.label("istio") in ("ingressgateway", "egressgateway", "eastwestgateway", "ingress")
    )


def is_ambient(pod: Resource) -> bool:
    """Whether ztunnel takes the traffic of this Pod."""
    return pod.annotation("ambient.istio.io/redirection") == "enabled"


def membership(pods: Iterable[Resource]) -> str:
    """Which of these Pods have a sidecar: `all`, `none`, `some`; `unknown` for no Pods at all.

    Ambient Pods and gateways speak mTLS in their own way: with one among them it is `unknown`.
    """
    answers = set()
    for pod in pods:
        if is_ambient(pod) or is_gateway(pod):
            return "unknown"
        answers.add(has_sidecar(pod))
    if len(answers) == 2:
        return "some"
    return {frozenset({True}): "all", frozenset({False}): "none"}.get(frozenset(answers), "unknown")


def membership_of(service: Resource, cluster: Cluster) -> str:
    """The same of the Pods that a Service selects; worked out once for all with its selector."""
    selector = frozenset(service.labels("spec", "selector").items())
    return cluster.derive(_selected_membership, service.namespace, selector)


def _selected_membership(
    cluster: Cluster, namespace: str, selector: frozenset[tuple[str, str]]
) -> str:
    return membership(cluster.select(kinds.POD, dict(selector), namespace) if selector else ())


# --- protocols ---------------------------------------------------------------------------

_NAMES = {
    "tcp": "TCP",
    "udp": "UDP",
    "http": "HTTP",
    "http_proxy": "HTTP",
    "http2": "HTTP2",
    "grpc": "GRPC",
    "https": "HTTPS",
    "tls": "TLS",
    "mongo": "MONGO",
    "redis": "REDIS",
    "mysql": "MYSQL",
}
_APP_PROTOCOLS = {
    "kubernetes.io/h2c": "HTTP2",
    "kubernetes.io/ws": "HTTP",
    "kubernetes.io/wss": "HTTPS",
}
_TCP_NUMBERS = (25, 53, 3306, 27017)
HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
HTTP2 = frozenset({"HTTP2", "GRPC", "GRPC-WEB"})


def protocol_named(text: str) -> str:
    """The protocol that a port name or an appProtocol spells; "" for none that Istio knows.

    What counts is the text before the first `-`, in any case.
    """
    text = text.lower()
    return "GRPC-WEB" if text.startswith("grpc-web") else _NAMES.get(text.partition("-")[0], "")


def protocol(port: Field) -> str:
    """What Istio takes a Service port to speak: HTTP, GRPC, TLS, TCP ...; "" means it sniffs.

    appProtocol beats the name, even where Istio does not know it; neither counts for UDP.
    Source: pkg/config/kube/conversion.go.
    """
    if port.text("protocol") == "UDP":
        return "UDP"
    declared = port.text("appProtocol")
    found = _APP_PROTOCOLS.get(declared) or protocol_named(declared or port.text("name"))
    return "TCP" if not found and port.number("port") in _TCP_NUMBERS else found


def declaration(port: Field) -> str:
    """How a Service port declares what it speaks, in words for a message."""
    if port.text("appProtocol"):
        return f"appProtocol {port.text('appProtocol')}"
    return f"named {port.text('name')}" if port.text("name") else "unnamed"
