"""Which objects an address, a host or a name in a log stands for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Ref, Resource
from gwdoctor.resolve import gateway_api, hosts, istio_gateways, services

Address = tuple[str, int]


def address(text: str) -> Address | None:
    """`10.0.0.20:9000` or `[fd00::1]:9000`."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or len(port) > 5:
        return None
    return host, int(port)


def ports(text: str, cluster: Cluster) -> Sequence[Field]:
    """The ports of Services that an address leads to: those of an endpoint, or a ClusterIP's."""
    found = address(text)
    return cluster.derive(_ports).get(found, ()) if found else ()


def _ports(cluster: Cluster) -> Mapping[Address, Sequence[Field]]:
    found: dict[Address, list[Field]] = defaultdict(list)
    by_slice = services.slices(cluster)
    for service in cluster[kinds.SERVICE]:
        declared = service.each("spec", "ports")
        for ip in dict.fromkeys(
            (*service.texts("spec", "clusterIPs"), service.text("spec", "clusterIP"))
        ):
            for port in declared:
                number = port.number("port")
                if ip and ip != "None" and number is not None:
                    found[ip, number].append(port)
        by_name = {port.text("name"): port for port in declared}
        for endpoint_slice in by_slice.get((service.namespace, service.name), ()):
            for listening in endpoint_slice.each("ports"):
                port_of_service = by_name.get(listening.text("name"))
                number = listening.number("port")
                if port_of_service is None or number is None:
                    continue
                for endpoint in endpoint_slice.each("endpoints"):
                    for ip in endpoint.texts("addresses"):
                        found[ip, number].append(port_of_service)
    return found


def pods(ip: str, cluster: Cluster) -> Sequence[Ref]:
    """The Pods that have an address, as EndpointSlices tell it."""
    return cluster.derive(_pods).get(ip, ())


def _pods(cluster: Cluster) -> Mapping[str, Sequence[Ref]]:
    found: dict[str, dict[Ref, None]] = defaultdict(dict)
    for endpoint_slice in cluster[kinds.ENDPOINT_SLICE]:
        for endpoint in endpoint_slice.each("endpoints"):
            if endpoint.text("targetRef", "kind") == "Pod" and endpoint.text("targetRef", "name"):
                namespace = endpoint.text("targetRef", "namespace") or endpoint_slice.namespace
                ref = Ref(kinds.POD, namespace, endpoint.text("targetRef", "name"), "v1")
                for ip in endpoint.texts("addresses"):
                    found[ip][ref] = None
    return {ip: tuple(refs) for ip, refs in found.items()}


#: What the lines of controllers speak of.
NAMED = (
    kinds.SECRET,
    kinds.SERVICE,
    kinds.INGRESS,
    kinds.GATEWAY,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.CERTIFICATE,
    kinds.CERTIFICATE_REQUEST,
    kinds.ORDER,
    kinds.CHALLENGE,
    kinds.ISSUER,
)


def named(namespace: str, name: str, cluster: Cluster) -> Iterator[Resource]:
    """The objects of this name that a controller may mean: it does not always say of which kind."""
    for kind in NAMED:
        found = cluster.find(Ref(kind, namespace, name))
        if found is not None:
            yield found


def routed(host: str, cluster: Cluster) -> Sequence[Resource]:
    """The Ingresses and routes that name a host."""
    return cluster.derive(_routed).get(host, ())


def _routed(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for ingress in cluster.seen(kinds.INGRESS):
        for rule in ingress.each("spec", "rules"):
            if rule.text("host"):
                found[rule.text("host").lower()].append(ingress)
    for kind in (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE):
        for route in cluster.seen(kind):
            for host in route.texts("spec", "hostnames"):
                found[host.lower()].append(route)
    return found


def servers(pod: Resource | Ref, host: str, cluster: Cluster) -> Sequence[Field]:
    """The `servers[]` entries or listeners of a gateway Pod that Envoy chooses for a host name.

    The most specific name wins, whoever declares it.
    """
    found: dict[Field, tuple[bool, int]] = {}
    for field, names in _tls_servers(pod.namespace, pod.name, cluster):
        fitting = [hosts.specificity(name) for name in names if hosts.suffix_covers(name, host)]
        if fitting:
            found[field] = max(fitting)
    best = max(found.values(), default=None)
    return tuple(field for field, exactness in found.items() if exactness == best)


def _tls_servers(
    namespace: str, name: str, cluster: Cluster
) -> Iterator[tuple[Field, Sequence[str]]]:
    for workload in istio_gateways.workloads(cluster):
        if any((pod.namespace, pod.name) == (namespace, name) for pod in workload.pods):
            for server in workload.servers:
                if server.is_tls:
                    yield server.field, server.names
    for gateway in _gateways_of(namespace, name, cluster):
        for listener in gateway_api.listeners(gateway):
            if listener.tls_mode:
                yield listener.field, (listener.hostname.lower() or "*",)


_OWNER = "gateway.envoyproxy.io/owning-gateway-"


def _gateways_of(namespace: str, name: str, cluster: Cluster) -> Iterator[Resource]:
    """The Gateway whose proxy a Pod is, as Envoy Gateway labels it."""
    for kind in (kinds.POD, kinds.POD_WHOLE):
        pod = cluster.find(Ref(kind, namespace, name))
        if pod is not None and pod.label(f"{_OWNER}name"):
            owner = pod.label(f"{_OWNER}namespace"), pod.label(f"{_OWNER}name")
            gateway = cluster.find(Ref(kinds.GATEWAY, *owner))
            if gateway is not None:
                yield gateway
            return
