"""Subsets: who routes to them, and which DestinationRules declare them for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Resource
from gwdoctor.resolve import istio_mesh, istio_routes, istio_rules, istio_virtual_services

#: Labels that endpoints get from their node or cluster, not from their Pod.
TOPOLOGY = ("topology.istio.io/", "topology.kubernetes.io/", "kubernetes.io/hostname")

#: So many DestinationRules of a host are no matter.
_FEW = 4


def home(host: str, cluster: Cluster) -> str | None:
    """The namespace of the Service or ServiceEntry of a full host name; None where there is none.

    Raises OutOfView where it may exist unseen.
    """
    key = istio_mesh.service_key(host, "", cluster)
    if key is not None:
        return key[0] if cluster.get(kinds.SERVICE, *key) is not None else None
    cluster.every(kinds.SERVICE_ENTRY)
    entries = istio_mesh.service_entries(host, cluster)
    return entries[0].namespace if entries else None


def client_namespaces(route: Resource, cluster: Cluster) -> tuple[str, ...]:
    """Where the proxies that use a VirtualService run: its gateways' Pods, and any sidecar."""
    found: dict[str, None] = {}
    if istio_virtual_services.is_bound_to_mesh(route):
        found |= dict.fromkeys((istio_rules.ANYWHERE, route.namespace))
    for reference in istio_virtual_services.gateway_refs(route):
        if reference.name is not None:
            found |= dict.fromkeys(cluster.derive(_homes, *reference.name))
    return tuple(found)


def _homes(cluster: Cluster, namespace: str, name: str) -> tuple[str, ...]:
    """The namespaces of a Gateway's Pods, or its own."""
    gateway = cluster.get(kinds.ISTIO_GATEWAY, namespace, name)
    labels = gateway.labels("spec", "selector") if gateway is not None else {}
    pods = cluster.select(kinds.POD, labels) if labels else ()
    return tuple(dict.fromkeys(pod.namespace for pod in pods)) or (namespace,)


class Known:
    """The subsets of a host that some of these clients know; looked up as far as it is asked.

    A DestinationRule for some workloads only may declare one too.
    """

    def __init__(self, cluster: Cluster, clients: Iterable[str], host: str, namespace: str) -> None:
        self._names: set[str] = set()
        self._more = self._declared(cluster, clients, host, namespace)

    def __contains__(self, subset: str) -> bool:
        while subset not in self._names:
            more = next(self._more, None)
            if more is None:
                return False
            self._names |= more
        return True

    @staticmethod
    def _declared(
        cluster: Cluster, clients: Iterable[str], host: str, namespace: str
    ) -> Iterator[frozenset[str]]:
        for client in clients:
            yield _known_to(cluster, client, host, namespace)
        yield cluster.derive(_known_to_some, host)


def _known_to(cluster: Cluster, client: str, host: str, namespace: str) -> frozenset[str]:
    """Read anew each time, where a host has few rules; what many of them say is remembered."""
    if next(islice(istio_rules.anywhere(cluster, host), _FEW, None), None) is not None:
        return cluster.derive(_merged, client, host, namespace)
    return _merged(cluster, client, host, namespace)


def _merged(cluster: Cluster, client: str, host: str, namespace: str) -> frozenset[str]:
    return _names(istio_rules.selected(cluster, client, host, namespace))


def _known_to_some(cluster: Cluster, host: str) -> frozenset[str]:
    rules = istio_rules.anywhere(cluster, host)
    return _names(rule for rule in rules if rule.has("spec", "workloadSelector"))


def declaring(cluster: Cluster, host: str, subset: str) -> Iterator[Resource]:
    """Every DestinationRule that declares a subset of a host, used by anybody or not."""
    return (rule for rule in istio_rules.anywhere(cluster, host) if subset in _names((rule,)))


def _names(rules: Iterable[Resource]) -> frozenset[str]:
    return frozenset(
        subset.text("name") for rule in rules for subset in rule.each("spec", "subsets")
    )


def routed(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[istio_routes.Destination]]:
    """Destinations with a weight, by full host name and subset."""
    return cluster.derive(_routed)


def _routed(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[istio_routes.Destination]]:
    found: dict[tuple[str, str], list[istio_routes.Destination]] = defaultdict(list)
    for owner in cluster[kinds.VIRTUAL_SERVICE]:
        for destination in istio_routes.destinations(owner):
            if destination.subset and destination.weight and not destination.is_mirror:
                host = istio_routes.full_host(destination, cluster)
                found[host, destination.subset].append(destination)
    return found
