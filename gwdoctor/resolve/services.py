"""Services: their ports, their endpoints, their Pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource

SERVICE_NAME = "kubernetes.io/service-name"


def port(service: Resource, wanted: int | str | None) -> Field | None:
    """The port of a Service by number or by name; None where it has no such port.

    A number never matches a name, and an unnamed port is not "the port named ''".
    """
    for candidate in service.each("spec", "ports"):
        if isinstance(wanted, int) and candidate.number("port") == wanted:
            return candidate
        if isinstance(wanted, str) and wanted and candidate.text("name") == wanted:
            return candidate
    return None


def ingress_port(service: Resource, reference: Field) -> Field | None:
    """The port that an Ingress backend's `port` (`{number}` or `{name}`) refers to."""
    number, name = reference.number("number"), reference.text("name")
    return port(service, name if name else number)


def slices(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    """EndpointSlices by (namespace, Service name)."""
    return cluster.derive(_slices)


def _slices(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for endpoint_slice in cluster[kinds.ENDPOINT_SLICE]:
        service = endpoint_slice.label(SERVICE_NAME)
        if service:
            found[endpoint_slice.namespace, service].append(endpoint_slice)
    return found


def is_ready(endpoint: Field) -> bool:
    """Whether an endpoint takes traffic: an absent or null condition counts as ready."""
    return endpoint.flag("conditions", "ready") is not False


def still_serves(endpoint: Field) -> bool:
    """Ready, or ending but still serving: proxies send there while nothing else is ready."""
    return is_ready(endpoint) or endpoint.flag("conditions", "serving") is True


def endpoints(cluster: Cluster, service: Resource) -> tuple[Field, ...]:
    """All endpoints of a Service, ready or not. Raises OutOfView where its slices may be hidden."""
    cluster.within(kinds.ENDPOINT_SLICE, service.namespace)
    return tuple(
        endpoint
        for endpoint_slice in slices(cluster).get((service.namespace, service.name), ())
        for endpoint in endpoint_slice.each("endpoints")
    )


def pods(cluster: Cluster, service: Resource) -> Sequence[Resource]:
    """The Pods (metadata) that a Service selects; none for one without a selector."""
    return cluster.derive(_pods, service)


def _pods(cluster: Cluster, service: Resource) -> Sequence[Resource]:
    selector = service.labels("spec", "selector")
    if not selector:
        return ()
    return cluster.select(kinds.POD, selector, service.namespace)


def external_name(service: Resource) -> str:
    """The name that an ExternalName Service stands for, or an empty string."""
    if service.text("spec", "type") != "ExternalName":
        return ""
    return service.text("spec", "externalName")
