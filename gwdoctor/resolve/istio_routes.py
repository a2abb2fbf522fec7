"""Where the HTTP, TLS and TCP routes of a VirtualService lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource, of_resource
from gwdoctor.resolve import gateway_api, istio_mesh, services


@dataclass(frozen=True, slots=True)
class Destination:
    """One `destination` of a VirtualService. `section` is http, tls or tcp."""

    owner: Resource
    section: str
    route: Field  #: the entry of `http`, `tls` or `tcp`
    field: Field  #: the `destination`
    weight: int
    is_mirror: bool = False

    @property
    def host(self) -> str:
        """As written."""
        return self.field.text("host")

    @property
    def subset(self) -> str:
        """Empty for all endpoints."""
        return self.field.text("subset")

    @property
    def port(self) -> int | None:
        """The port of the Service; None where none is written."""
        return self.field.number("port", "number")


@of_resource
def destinations(owner: Resource) -> tuple[Destination, ...]:
    """Every destination of a VirtualService, mirrors among them."""
    return tuple(_destinations(owner))


def _destinations(owner: Resource) -> Iterator[Destination]:
    for section in ("http", "tls", "tcp"):
        for route in owner.each("spec", section):
            for target in route.each("route"):
                weight = target.number("weight")
                yield Destination(
                    owner, section, route, target.at("destination"), 1 if weight is None else weight
                )
            if route.has("mirror"):
                yield Destination(owner, section, route, route.at("mirror"), 1, True)
            for mirror in route.each("mirrors"):
                yield Destination(owner, section, route, mirror.at("destination"), 1, True)


def service_port(destination: Destination, cluster: Cluster) -> tuple[Resource, Field] | None:
    """The Service and port that a destination leads to; the only port where none is written."""
    namespace = destination.owner.namespace
    service = istio_mesh.service_of(destination.host, namespace, cluster)
    if service is None or services.external_name(service):
        return None
    if destination.port is not None:
        found = services.port(service, destination.port)
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
    domain = istio_mesh.mesh(cluster).domain
    return frozenset(
        (istio_mesh.fqdn(destination.host, owner.namespace, domain), destination.port)
        for owner in cluster[kinds.VIRTUAL_SERVICE]
        for destination in destinations(owner)
        if destination.section == "http"
    )
