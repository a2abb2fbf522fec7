"""Listeners that cannot share a port.

Rules: gateway-api 1.6, apis/v1/gateway_types.go (distinct listeners) and listenerset_types.go
(precedence); Envoy Gateway 1.9 for mergeGateways.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Resource
from gwdoctor.resolve import envoy_gateway, gateway_api
from gwdoctor.resolve.gateway_api import Listener

_NAMED = ("HTTP", "HTTPS", "TLS")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A listener that loses against one that comes before it.

    Among the listeners of one Gateway nobody wins: both are refused.
    """

    loser: Listener
    winner: Listener
    reason: str


def conflicts(cluster: Cluster) -> Sequence[Conflict]:
    """The conflicts of all Gateways, each with its ListenerSets, merged Gateways together."""
    return cluster.derive(_conflicts)


def _conflicts(cluster: Cluster) -> Sequence[Conflict]:
    return tuple(found for group in _groups(cluster) for found in _within(group))


def _groups(cluster: Cluster) -> Iterator[list[Listener]]:
    merged: dict[str, list[Resource]] = defaultdict(list)
    for gateway in cluster[kinds.GATEWAY]:
        try:
            merges = _merges(gateway, cluster)
        except OutOfView:
            merges = False  # then each Gateway is judged by itself, which is never too much
        if merges:
            merged[gateway.text("spec", "gatewayClassName")].append(gateway)
        else:
            yield _in_order([gateway], cluster)
    for gateways in merged.values():
        yield _in_order(
            sorted(gateways, key=lambda g: (g.created or "~", g.namespace, g.name)), cluster
        )


def _merges(gateway: Resource, cluster: Cluster) -> bool:
    if not envoy_gateway.answers_for(gateway, cluster):
        return False
    return envoy_gateway.merges_gateways(envoy_gateway.proxy(gateway, cluster))


def _in_order(gateways: list[Resource], cluster: Cluster) -> list[Listener]:
    """Listeners by precedence: Gateways, then the ListenerSets that they admit, oldest first."""
    owners = [
        *gateways,
        *(
            listener_set
            for gateway in gateways
            for listener_set in gateway_api.listener_sets(gateway, cluster)
            if gateway_api.admits_set(gateway, listener_set, cluster)
        ),
    ]
    return [listener for owner in owners for listener in gateway_api.listeners(owner)]


def _within(listeners: list[Listener]) -> Iterator[Conflict]:
    by_port: dict[tuple[int, bool], list[Listener]] = defaultdict(list)
    for listener in listeners:
        if listener.port is not None and listener.protocol in (*_NAMED, "TCP", "UDP"):
            by_port[listener.port, listener.protocol == "UDP"].append(listener)
    for sharing in by_port.values():
        names: dict[str, Listener] = {}
        first = sharing[0]
        for listener in sharing:
            if _incompatible(listener.protocol, first.protocol):
                yield Conflict(listener, first, "ProtocolConflict")
                continue
            key = listener.hostname.lower() if listener.protocol in _NAMED else ""
            taken = names.setdefault(key, listener)
            if taken is not listener:
                reason = "HostnameConflict" if listener.protocol in _NAMED else "ProtocolConflict"
                yield Conflict(listener, taken, reason)


def _incompatible(protocol: str, other: str) -> bool:
    """HTTPS and TLS may share a port, told apart by SNI; nothing else may."""
    encrypted = ("HTTPS", "TLS")
    return protocol != other and not (protocol in encrypted and other in encrypted)
