"""Kong Ingress Controller (KIC): which routes are Kong's, and how it enters each Service.

Rules: KIC main 1fa68f864 (release 3.5), internal/dataplane/kongstate, internal/dataplane/translator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import gateway_api, ingress, services

PROTOCOL = "konghq.com/protocol"
#: util.ValidateProtocol: compared as they stand, neither trimmed nor lower-cased; no udp.
PROTOCOLS = ("http", "https", "grpc", "grpcs", "ws", "wss", "tls", "tcp", "tls_passthrough")
TLS_PROTOCOLS = ("https", "tls")
#: What `entries` reads: declare it in `needs`.
ENTRY_KINDS = (
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.GATEWAY,
    kinds.GATEWAY_CLASS,
)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of a route at which Kong enters a Service.

    KIC makes one Kong service of each `rule` (of an Ingress: of each path).
    """

    route: Resource
    rule: Field
    field: Field
    service: Key
    port: int | str | None

    @property
    def is_http(self) -> bool:
        """Whether Kong speaks plain HTTP there by default; for a GRPCRoute it is grpc or grpcs."""
        return self.route.ref.kind != kinds.GRPC_ROUTE


@dataclass(frozen=True, slots=True)
class _Entries:
    of: Mapping[Key, Sequence[Entry]]
    by_rule: Mapping[Field, Sequence[Entry]]
    rules_of: Mapping[Key, Sequence[Field]]  #: also those that give a Service no request
    unclear: Mapping[Key, OutOfView]  #: Services of routes whose Gateway cannot be seen


def entries(service: Resource, cluster: Cluster) -> Sequence[Entry]:
    """Where Kong enters a Service.

    Raises OutOfView where only routes lead there whose Gateway cannot be seen.
    """
    found, key = cluster.derive(_entries), (service.namespace, service.name)
    if key not in found.of and key in found.unclear:
        raise found.unclear[key]
    return found.of.get(key, ())


def rules(cluster: Cluster) -> Mapping[Field, Sequence[Entry]]:
    """The entries of each rule of each of Kong's routes: one Kong service each."""
    return cluster.derive(_entries).by_rule


def _entries(cluster: Cluster) -> _Entries:
    of: dict[Key, list[Entry]] = defaultdict(list)
    by_rule: dict[Field, list[Entry]] = defaultdict(list)
    rules_of: dict[Key, list[Field]] = defaultdict(list)
    unclear: dict[Key, OutOfView] = {}
    for entry in _of_ingresses(cluster):
        of[entry.service].append(entry)
        by_rule[entry.rule].append(entry)
    for route in cluster.seen(kinds.HTTP_ROUTE, kinds.GRPC_ROUTE):
        try:
            belongs, hidden = is_route(route, cluster), None
        except OutOfView as gap:
            belongs, hidden = False, gap
        for entry, gets_requests in _of_route(route):
            if hidden:
                unclear[entry.service] = hidden
            elif belongs:
                by_rule[entry.rule].append(entry)
                if gets_requests:
                    of[entry.service].append(entry)
    for rule, together in by_rule.items():
        for entry in together:
            rules_of[entry.service].append(rule)
    return _Entries(of, by_rule, rules_of, unclear)


def ingresses(cluster: Cluster) -> tuple[Resource, ...]:
    """The Ingresses that Kong serves."""
    return cluster.derive(_ingresses)


def _ingresses(cluster: Cluster) -> tuple[Resource, ...]:
    list(cluster.seen(kinds.INGRESS_CLASS))
    return ingress.of_controller(cluster, ingress.KONG)


def _of_ingresses(cluster: Cluster) -> Iterator[Entry]:
    try:
        served = ingresses(cluster)
    except OutOfView:
        return
    for resource in served:
        for backend in ingress.backends(resource):
            if backend.service:
                rule = backend.path or backend.field
                key = (resource.namespace, backend.service)
                yield Entry(resource, rule, backend.field.at("service"), key, backend.port)


def _of_route(route: Resource) -> Iterator[tuple[Entry, bool]]:
    """The entries of a route, and whether they get any requests (weight 0 gets none)."""
    for backend in gateway_api.backend_refs(route):
        if backend.kind == kinds.SERVICE and not backend.is_mirror:
            key = (backend.namespace, backend.name)
            entry = Entry(route, backend.rule, backend.field, key, backend.port)
            yield entry, backend.weight > 0


def gateways(cluster: Cluster) -> frozenset[Key]:
    """Namespace and name of the Gateways of Kong's classes."""
    return cluster.derive(_gateways)


def _gateways(cluster: Cluster) -> frozenset[Key]:
    list(cluster.seen(kinds.GATEWAY_CLASS))
    return frozenset(
        (gateway.namespace, gateway.name)
        for gateway in cluster.seen(kinds.GATEWAY)
        if is_gateway_class(gateway.text("spec", "gatewayClassName"), cluster)
    )


def is_gateway_class(name: str, cluster: Cluster) -> bool:
    """Whether a GatewayClass is Kong's; where classes cannot be seen, by its name."""
    try:
        found = cluster.get(kinds.GATEWAY_CLASS, "", name)
    except OutOfView:  # cluster-wide, so often not readable; Kong's documents all call it "kong"
        return name == "kong"
    return found is not None and gateway_api.is_kong(found.text("spec", "controllerName"))


def is_route(route: Resource, cluster: Cluster) -> bool:
    """Whether a route names a Gateway of Kong as a parent. Raises OutOfView where it is hidden."""
    known = gateways(cluster)
    for reference in route.each("spec", "parentRefs"):
        if gateway_api.parent_kind(reference) != kinds.GATEWAY:
            continue
        key = (reference.text("namespace") or route.namespace, reference.text("name"))
        if key in known:
            return True
        cluster.get(kinds.GATEWAY, *key)
    return False


def protocol(service: Resource) -> str:
    """What Kong speaks to a Service behind HTTP routes: http unless its annotation is valid."""
    value = service.annotation(PROTOCOL)
    return value if value in PROTOCOLS else "http"


def port_of(entry: Entry, service: Resource) -> Field | None:
    """The port of the Service that an entry leads to; None where it has no such port."""
    return services.port(service, entry.port)


def siblings(service: Resource, cluster: Cluster) -> tuple[Resource, ...]:
    """The Services that must carry the same `konghq.com` annotations, this one first.

    Services of one rule become one Kong service, and KIC drops it where they differ.
    """
    found = cluster.derive(_entries)
    reached = {(service.namespace, service.name): service}
    queue = [service]
    while queue:
        current = queue.pop()
        for rule in found.rules_of.get((current.namespace, current.name), ()):
            for other in found.by_rule[rule]:
                if other.service not in reached:
                    neighbour = cluster.get(kinds.SERVICE, *other.service)
                    if neighbour is not None:
                        reached[other.service] = neighbour
                        queue.append(neighbour)
    return tuple(reached.values())


def agree(together: Sequence[Resource]) -> bool:
    """Whether Services carry the same `konghq.com` annotations: else KIC drops their rules."""
    first, *rest = (compared_annotations(service) for service in together)
    return all(other == first for other in rest)


def compared_annotations(service: Resource) -> dict[str, str]:
    """The annotations that KIC compares: all of its prefix, known or not."""
    found = service.annotations
    return {key: value for key, value in found.items() if key.startswith("konghq.com")}


def tls_policies(cluster: Cluster) -> Mapping[Key, Sequence[Resource]]:
    """BackendTLSPolicies by the Service that they target; none where they cannot be seen.

    Kong reads them behind a feature gate only: what it speaks without one is the better guess.
    """
    return cluster.derive(_tls_policies)


def _tls_policies(cluster: Cluster) -> Mapping[Key, Sequence[Resource]]:
    found: dict[Key, list[Resource]] = defaultdict(list)
    for policy in cluster.seen(kinds.BACKEND_TLS_POLICY):
        for target in policy.each("spec", "targetRefs"):
            if target.text("kind") == "Service":
                found[policy.namespace, target.text("name")].append(policy)
    return found
