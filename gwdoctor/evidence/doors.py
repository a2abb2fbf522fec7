"""Where the certificates of the entry can be seen from outside, and through the API server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Ref, Resource
from gwdoctor.resolve import (
    credentials,
    envoy_gateway,
    gateway_api,
    istio_gateways,
    kong,
    kong_pods,
    tls_overlap,
)
from gwdoctor.resolve.certificates import CredentialUse

#: What finding the doors reads.
READS = tuple(
    dict.fromkeys(
        (
            *credentials.USERS,
            *kong.ENTRY_KINDS,
            *tls_overlap.READS,
            kinds.ENVOY_PROXY,
            kinds.SERVICE,
        )
    )
)
#: Of each listener and host so many addresses or Pods are tried.
MOST_PLACES = 2
#: What stands for the first label of a wildcard.
ANY_LABEL = "gwdoctor-probe"
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_OWNER = "gateway.envoyproxy.io/owning-gateway-"
_KONG_PORTS = ("proxy-tls", "proxy-ssl", "kong-proxy-tls")


@dataclass(frozen=True, slots=True)
class Place:
    """An address that the cluster names, or (with `pod`) a Pod: and the port."""

    host: str
    port: int
    namespace: str = ""
    pod: str = ""

    def __str__(self) -> str:
        if self.pod:
            return f"Pod {self.namespace}/{self.pod} port {self.port}"
        return f"{self.host} port {self.port}"


@dataclass(frozen=True, slots=True)
class Door:
    """A host of something that ends TLS, and where it can be asked for."""

    use: CredentialUse
    host: str  #: the SNI; empty where no name is asked for
    addresses: Sequence[Place] = field(default=())
    pods: Sequence[Place] = field(default=())


def doors(cluster: Cluster) -> Iterator[Door]:
    """Every host of a terminating listener, server or tls entry."""
    seen: set[tuple[object, ...]] = set()
    for use in credentials.all_uses(cluster):
        if use.root.ref.kind == kinds.INGRESS and not use.hosts:
            continue  # controllers differ in what they make of it; nobody asks for a name
        for addresses, pods in _ways(use, cluster):
            for host in use.hosts or ("",):
                name = sni(host)
                key = (use.namespace, use.name, name, *addresses, *pods)
                if name is not None and key not in seen:
                    seen.add(key)
                    yield Door(use, name, addresses, pods)


def of_host(name: str, cluster: Cluster) -> Iterator[Door]:
    """Where this host is served: by name, by a wildcard over it, or by what serves any host."""
    for door in doors(cluster):
        below = door.host.removeprefix(ANY_LABEL) if door.host.startswith(f"{ANY_LABEL}.") else ""
        if door.host in (name, "") or (below and name.endswith(below)):
            yield replace(door, host=name)


@dataclass(frozen=True, slots=True)
class Reuse:
    """A connection for one host that browsers reuse for another: where to try it."""

    overlap: tls_overlap.Overlap
    opened: str
    wanted: str
    addresses: Sequence[Place] = field(default=())
    pods: Sequence[Place] = field(default=())


def reuses(cluster: Cluster) -> Iterator[Reuse]:
    """Every overlap of servers that offer HTTP/2, by names that a client can ask for."""
    try:
        overlaps = tls_overlap.found(cluster).overlaps
    except OutOfView:
        return
    for overlap in overlaps:
        opened, wanted = sni(overlap.opened), sni(overlap.name)
        if opened and wanted:
            addresses, pods = _at(overlap.socket.workload, overlap.first.number, cluster)
            yield Reuse(overlap, opened, wanted, addresses, pods)


def sni(host: str) -> str | None:
    """A name that a client can ask for; None for what is none. Empty for any."""
    if host in ("", "*"):
        return ""
    name = host.lower().rstrip(".")
    if name.startswith("*."):
        name = f"{ANY_LABEL}{name[1:]}"
    return name if len(name) <= 253 and _HOST.fullmatch(name) else None


_Ways = Iterator[tuple[tuple[Place, ...], tuple[Place, ...]]]


def _ways(use: CredentialUse, cluster: Cluster) -> _Ways:
    match use.root.ref.kind:
        case kinds.INGRESS:
            yield from _of_ingress(use.root, cluster)
        case kinds.GATEWAY | kinds.LISTENER_SET:
            yield from _of_gateway(use, cluster)
        case kinds.ISTIO_GATEWAY:
            yield from _of_istio(use, cluster)


def _first(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(islice(dict.fromkeys(places), MOST_PLACES))


def _balancer(resource: Resource, port: int) -> Iterator[Place]:
    """What a load balancer's controller wrote into a status."""
    for entry in resource.each("status", "loadBalancer", "ingress"):
        host = entry.text("ip") or entry.text("hostname")
        if host:
            yield Place(host, port)


def _exposed(
    service: Resource, number: int, pods: Iterable[Resource], cluster: Cluster
) -> Iterator[Place]:
    """Where a port of a Service is reached: its load balancer, and the nodes that its Pods are on."""
    yield from _balancer(service, number)
    for port in service.each("spec", "ports"):
        node_port = port.number("nodePort")
        if port.number("port") != number or not node_port:
            continue
        for pod in pods:
            whole = cluster.find(Ref(kinds.POD_WHOLE, pod.namespace, pod.name))
            if whole is not None and whole.text("status", "hostIP"):
                yield Place(whole.text("status", "hostIP"), node_port)


def _of_ingress(ingress: Resource, cluster: Cluster) -> _Ways:
    try:
        is_kongs = ingress in kong.ingresses(cluster)
    except OutOfView:
        is_kongs = False
    addresses: Iterable[Place] = _balancer(ingress, 443)
    if is_kongs:
        addresses = (*addresses, *_kong_services(cluster))
    yield _first(addresses), _first(_kong_pods(cluster)) if is_kongs else ()


def _kong_ports(cluster: Cluster) -> Iterator[tuple[Resource, Field]]:
    """Kong's proxies, and the port of each that speaks TLS."""
    for container in kong_pods.proxies(cluster):
        for port in container.field.each("ports"):
            if port.text("name") in _KONG_PORTS or port.number("containerPort") == 8443:
                yield container.pod, port


def _kong_pods(cluster: Cluster) -> Iterator[Place]:
    for pod, port in _kong_ports(cluster):
        number = port.number("containerPort")
        if number:
            yield Place("", number, pod.namespace, pod.name)


def _kong_services(cluster: Cluster) -> Iterator[Place]:
    """The Services that lead to that port."""
    for pod, port in _kong_ports(cluster):
        target = (port.number("containerPort"), port.text("name") or None)
        labels = pod.own_labels
        try:
            candidates = cluster.within(kinds.SERVICE, pod.namespace)
        except OutOfView:
            continue
        for service in candidates:
            selector = service.labels("spec", "selector")
            if not selector or not selector.items() <= labels.items():
                continue
            for declared in service.each("spec", "ports"):
                number = declared.number("port")
                if number and declared.at("targetPort").value in target:
                    yield from _exposed(service, number, (pod,), cluster)


def _of_gateway(use: CredentialUse, cluster: Cluster) -> _Ways:
    try:
        gateway = gateway_api.gateway_of(use.root, cluster)
        controller = gateway_api.controller(gateway, cluster) if gateway is not None else ""
    except OutOfView:
        return
    if gateway is None:
        return
    for listener in gateway_api.listeners(use.root):
        if listener.field.path != use.field.path[: len(listener.field.path)]:
            continue
        port = listener.port
        if port is None:
            continue
        addresses: Iterable[Place] = tuple(
            Place(address.text("value"), port)
            for address in gateway.each("status", "addresses")
            if address.text("value")
        )
        pods: Iterable[Place] = ()
        if gateway_api.is_envoy_gateway(controller):
            addresses = (*addresses, *_envoy_gateway_service(gateway, port, cluster))
            pods = _envoy_gateway_pods(gateway, port, cluster)
        elif gateway_api.is_istio(controller):
            labels = {istio_gateways.GATEWAY_NAME: gateway.name}
            pods = (
                Place("", port, pod.namespace, pod.name)
                for pod in _select(labels, cluster)
                if pod.namespace == gateway.namespace
            )
        elif gateway_api.is_kong(controller):
            addresses = (*addresses, *_kong_services(cluster))
            pods = _kong_pods(cluster)
        yield _first(addresses), _first(pods)


def _service_of(gateway: Resource, cluster: Cluster) -> Resource | None:
    """The Service that Envoy Gateway made."""
    try:
        return envoy_gateway.service(gateway, envoy_gateway.proxy(gateway, cluster), cluster)
    except OutOfView:
        return None


def _proxies_of(gateway: Resource, cluster: Cluster) -> Sequence[Resource]:
    labels = {f"{_OWNER}name": gateway.name, f"{_OWNER}namespace": gateway.namespace}
    return _select(labels, cluster)


def _envoy_gateway_service(gateway: Resource, port: int, cluster: Cluster) -> Iterator[Place]:
    service = _service_of(gateway, cluster)
    if service is not None:
        yield from _exposed(service, port, _proxies_of(gateway, cluster), cluster)


def _envoy_gateway_pods(gateway: Resource, port: int, cluster: Cluster) -> Iterator[Place]:
    """The proxies that Envoy Gateway runs, and the port that it gave the listener there."""
    service = _service_of(gateway, cluster)
    target = port + 10_000 if port < 1024 else port
    for declared in service.each("spec", "ports") if service is not None else ():
        if declared.number("port") == port:
            target = declared.number("targetPort") or target
    for pod in _proxies_of(gateway, cluster):
        yield Place("", target, pod.namespace, pod.name)


def _select(labels: dict[str, str], cluster: Cluster) -> Sequence[Resource]:
    try:
        return cluster.select(kinds.POD, labels)
    except OutOfView:
        return ()


def _of_istio(use: CredentialUse, cluster: Cluster) -> _Ways:
    for workload in istio_gateways.workloads(cluster):
        if workload.namespace != use.namespace:
            continue
        for server in workload.servers:
            path = server.field.path
            if server.owner.ref != use.root.ref or path != use.field.path[: len(path)]:
                continue
            yield _at(workload, server.number, cluster)


def _at(
    workload: istio_gateways.Workload, number: int, cluster: Cluster
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Where a port of a server is reached."""
    target = workload.target(number)
    addresses = (
        place
        for service in workload.services
        for place in _exposed(service, number, workload.pods, cluster)
    )
    pods = (
        Place("", target, pod.namespace, pod.name)
        for pod in workload.pods
        if isinstance(target, int)
    )
    return _first(addresses), _first(pods)
