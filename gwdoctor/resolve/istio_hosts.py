"""Which host names a sidecar recognises in the Host header of a request.

Rules: istio/istio 1.32 pilot/pkg/networking/core/httproute.go.
"""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.resolve import istio_mesh


def is_known_to_mesh(host: str, cluster: Cluster) -> bool:
    """Whether a ServiceEntry, a mesh VirtualService or a Service answers to a name.

    Generous: on which port it does is not looked at. Reads SERVICE_ENTRY, VIRTUAL_SERVICE,
    SERVICE and CONFIG_MAP.
    """
    host = host.lower()
    if istio_mesh.service_entries(host, cluster):
        return True
    known = cluster.derive(_mesh_route_hosts)
    if any(name in known for name in istio_mesh.generalisations(host)):
        return True
    key = istio_mesh.service_key(host, "", cluster) if "." in host else None
    return key is not None and cluster.get(kinds.SERVICE, *key) is not None


def _mesh_route_hosts(cluster: Cluster) -> frozenset[str]:
    return frozenset(
        host.lower()
        for owner in cluster[kinds.VIRTUAL_SERVICE]
        if not owner.texts("spec", "gateways") or "mesh" in owner.texts("spec", "gateways")
        for host in owner.texts("spec", "hosts")
    )


def has_http_port(cluster: Cluster, number: int | None) -> bool:
    """Whether some Service has an HTTP port of this number: sidecars then route it by Host."""
    return number is None or number in cluster.derive(_http_ports)


def _http_ports(cluster: Cluster) -> frozenset[int]:
    return frozenset(
        port.number("port") or 0
        for service in cluster[kinds.SERVICE]
        for port in service.each("spec", "ports")
        if istio_mesh.protocol(port) in istio_mesh.HTTP
    )
