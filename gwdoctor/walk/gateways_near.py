"""What of Gateway API comes near to a request, and every host name that it knows."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field
from gwdoctor.resolve import (
    gateway_api,
    hosts,
)
from gwdoctor.walk import planes
from gwdoctor.walk.hops import Near
from gwdoctor.walk.request import Request

_REFUSALS = {
    "ParentNotFound": "its parent does not exist",
    "NoMatchingParent": "its sectionName or port picks no listener",
    "KindNotAllowed": "the listener takes no routes of this kind",
    "NamespaceNotAllowed": "the listener takes no routes of this namespace",
    "NoMatchingListenerHostname": "no listener that it names has its hostnames",
}


def near(request: Request, cluster: Cluster) -> Iterator[Near]:
    """Routes with the host that are refused, and listeners that have it on another port."""
    known = planes.attachments(cluster)
    for parent in known.refused:
        names = parent.route.texts("spec", "hostnames")
        if any(hosts.suffix_covers(name, request.host) for name in names):
            reason = gateway_api.refusal(parent, cluster)
            target = parent.field.text("name")
            says = f"has {request.host} and is not attached to {target}: {_REFUSALS.get(reason, reason)}"
            yield Near(parent.field, says)
    for route, hidden in known.hidden:
        names = route.texts("spec", "hostnames")
        if any(hosts.suffix_covers(name, request.host) for name in names):
            yield Near(
                route, f"has {request.host}; whether it is attached is not seen ({hidden.gap})"
            )
    for plane in planes.planes(cluster):
        for listener in plane.listeners:
            for route in known.at.get(listener.field, ()) if listener.port != request.port else ():
                names = route.texts("spec", "hostnames")
                if any(hosts.suffix_covers(name, request.host) for name in names):
                    says = f"has {request.host}, at listener {listener.name} (port {listener.port})"
                    yield Near(route, says)
            if (
                listener.port != request.port
                and listener.hostname
                and hosts.suffix_covers(listener.hostname, request.host)
            ):
                says = f"listener {listener.name} has {listener.hostname} on port {listener.port}"
                yield Near(listener.field, f"{says}, not {request.port}")


def names(cluster: Cluster) -> Iterator[tuple[str, Field]]:
    """Every host name that listeners and routes have, and where."""
    for plane in planes.planes(cluster):
        for listener in plane.listeners:
            if listener.hostname:
                yield listener.hostname.lower(), listener.field
    for kind in (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE, kinds.TLS_ROUTE):
        for route in cluster.seen(kind):
            for spot in route.each("spec", "hostnames"):
                if spot.text():
                    yield spot.text().lower(), spot
