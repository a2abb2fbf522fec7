"""The entry of a cluster as plain data: the way of its requests, and its certificates.

What a report carries beside its findings, where something draws it. The names of the fields are
those of the JSON report; `msgspec.convert` reads them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec


class State(StrEnum):
    """How a part of the way is, worst first."""

    BROKEN = "broken"  #: requests fail here now
    DEGRADED = "degraded"  #: some fail, or will soon
    UNSEEN = "unseen"  #: it could not be looked at
    UNROUTED = "unrouted"  #: a hostname of a listener that no route takes
    OK = "ok"  #: it is there, and no finding of high severity stands on it


_ORDER = tuple(State)


def worst(states: Iterable[State]) -> State:
    """The worst of these; OK for none."""
    return min(states, key=_ORDER.index, default=State.OK)


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object of the cluster, as everywhere in the report."""

    apiVersion: str  # noqa: N815 - the field's own name
    kind: str
    name: str
    namespace: str = ""


class Hop(msgspec.Struct, omit_defaults=True):
    """One station of a request. `part` is the listener, rule or port of the object.

    `object` is None where there is none: a class that is only a name, a host outside.
    """

    state: State
    label: str = ""  #: what it is called where that is not the name of its object
    part: str = ""
    object: Named | None = None
    says: str = ""  #: what is wrong with it, or what it does, in a few words
    findings: list[str] = []  #: ids of those that stand on it


class Backend(msgspec.Struct, omit_defaults=True):
    """A Service (or what else takes requests) and its endpoints, None where it has none to count."""

    service: Hop
    endpoints: Hop | None = None

    @property
    def state(self) -> State:
        """The worse of both."""
        return worst(hop.state for hop in (self.service, self.endpoints) if hop is not None)


class Route(msgspec.Struct, omit_defaults=True):
    """A route, and the positions in `backends` of where it leads."""

    hop: Hop
    backends: list[int] = []


class Way(msgspec.Struct, omit_defaults=True):
    """A listener and the route that takes a hostname there: positions in the lists of the map."""

    listener: int
    route: int | None = None


class Host(msgspec.Struct, omit_defaults=True):
    """A hostname that clients ask for (`*` for any), and the ways of its requests."""

    name: str
    state: State
    ways: list[Way] = []


class RequestMap(msgspec.Struct):
    """Where requests go: hostnames, listeners, routes, Services, endpoints."""

    hosts: list[Host] = []
    listeners: list[Hop] = []
    routes: list[Route] = []
    backends: list[Backend] = []

    def __post_init__(self) -> None:
        """Positions lead to something, also in a map that comes from a file."""
        ways = [way for host in self.hosts for way in host.ways]
        _confirm("listener", (way.listener for way in ways), self.listeners)
        _confirm("route", (way.route for way in ways if way.route is not None), self.routes)
        _confirm("backend", (p for route in self.routes for p in route.backends), self.backends)

    def states(self) -> list[list[State]]:
        """The worst on each way of each hostname; a route that many share is judged once."""
        routes = [
            worst(
                (route.hop.state, *(self.backends[position].state for position in route.backends))
            )
            for route in self.routes
        ]
        return [
            [
                worst(
                    (
                        self.listeners[way.listener].state,
                        State.UNROUTED if way.route is None else routes[way.route],
                    )
                )
                for way in host.ways
            ]
            for host in self.hosts
        ]


def _confirm(what: str, positions: Iterable[int], items: Sequence[object]) -> None:
    for position in positions:
        if not 0 <= position < len(items):
            raise ValueError(f"there is no {what} {position}")


class CertificateEnd(msgspec.Struct, omit_defaults=True):
    """A certificate that the entry serves, or holds to serve; never anything of its key."""

    secret: Named
    state: str = ""  #: why it could not be looked at; empty where it was
    notAfter: str = ""  # noqa: N815
    daysLeft: int | None = None  # noqa: N815 - whole days at the time of the report
    names: list[str] = []
    usedBy: list[Named] = []  # noqa: N815 - what serves it
    writer: Named | None = None  #: the cert-manager Certificate that renews it


class Entry(msgspec.Struct, omit_defaults=True):
    """All of it."""

    map: RequestMap = msgspec.field(default_factory=RequestMap)
    certificates: list[CertificateEnd] = []
