"""Where the HTTP, TLS and TCP routes of a VirtualService lead."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource, of_resource
from gwdoctor.resolve import gateway_api, istio_mesh, services


class Destination(msgspec.Struct, frozen=True):
    """One `destination` of a VirtualService."""

    owner: Resource
    section: str  #: http, tls or tcp
    route: Field  #: the entry of that section
    field: Field  #: the `destination`
    host: str  #: as written
    subset: str  #: empty for all endpoints
    port: int | None  #: of the Service; None where none is written
    weight: int = 1
    is_mirror: bool = False


@of_resource
def destinations(owner: Resource) -> tuple[Destination, ...]:
    """Every destination of a VirtualService, mirrors among them."""
    return tuple(_destinations(owner))


def _destinations(owner: Resource) -> Iterator[Destination]:
    for section in ("http", "tls", "tcp"):
        for route in owner.each("spec", section):
            for target in route.each("route"):
                weight = target.number("weight")
                spot = target.at("destination")
                yield _destination(
                    owner, section, route, spot, weight=1 if weight is None else weight
                )
            if route.has("mirror"):
                yield _destination(owner, section, route, route.at("mirror"), is_mirror=True)
            for mirror in route.each("mirrors"):
                spot = mirror.at("destination")
                yield _destination(owner, section, route, spot, is_mirror=True)


def _destination(
    owner: Resource,
    section: str,
    route: Field,
    spot: Field,
    *,
    weight: int = 1,
    is_mirror: bool = False,
) -> Destination:
    host, subset, port = spot.text("host"), spot.text("subset"), spot.number("port", "number")
    return Destination(owner, section, route, spot, host, subset, port, weight, is_mirror)


def full_host(destination: Destination, cluster: Cluster) -> str:
    """The host of a destination, a short name grown to a full one."""
    return istio_mesh.full_host(destination.host, destination.owner.namespace, cluster)


def service_port(destination: Destination, cluster: Cluster) -> tuple[Resource, Field] | None:
    """The Service and port that a destination leads to; the only port where none is written."""
    return cluster.derive(_service_port, full_host(destination, cluster), destination.port)


def _service_port(cluster: Cluster, host: str, port: int | None) -> tuple[Resource, Field] | None:
    service = istio_mesh.service_of(host, "", cluster)
    if service is None or services.external_name(service):
        return None
    if port is not None:
        found = services.port(service, port)
        return None if found is None else (service, found)
    ports = list(service.each("spec", "ports"))
    return (service, ports[0]) if len(ports) == 1 else None


def is_at_istio_gateway(route: Resource, cluster: Cluster) -> bool:
    """Whether a Gateway API route has a parent Gateway of Istio. Reads GATEWAY, GATEWAY_CLASS."""
    for reference in route.each("spec", "parentRefs"):
        if gateway_api.parent_kind(reference) != kinds.GATEWAY:
            continue
        namespace = reference.text("namespace") or route.namespace
        gateway = cluster.get(kinds.GATEWAY, namespace, reference.text("name"))
        if gateway is not None and gateway_api.is_istio(gateway_api.controller(gateway, cluster)):
            return True
    return False


def http_targets(cluster: Cluster) -> frozenset[tuple[str, int | None]]:
    """Full host names and ports that HTTP routes of VirtualServices lead to."""
    return cluster.derive(_http_targets)


def _http_targets(cluster: Cluster) -> frozenset[tuple[str, int | None]]:
    return frozenset(
        (full_host(destination, cluster), destination.port)
        for owner in cluster[kinds.VIRTUAL_SERVICE]
        for destination in destinations(owner)
        if destination.section == "http"
    )
