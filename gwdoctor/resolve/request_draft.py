"""The map of requests while it is made."""

from __future__ import annotations

from collections.abc import Iterable

from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Hop, Host, Route, State, Way
from gwdoctor.resolve.request_backends import Backends
from gwdoctor.resolve.request_spots import Spots

#: The name of a host where any may come.
ANY = "*"


class Draft:
    """The map while it is made: every station once, in the order in which it is met."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.spots = Spots()
        self.listeners: list[Hop] = []
        self.routes: list[Route] = []
        self.backends = Backends(cluster, self.spots)
        self.ways: dict[str, dict[tuple[int, int], None]] = {}
        self.idle: dict[str, dict[int, None]] = {}  #: listeners of a host that route nothing
        self.with_routes: set[int] = set()
        self._listener_at: dict[object, int] = {}
        self._route_at: dict[object, int] = {}

    def listener(self, key: object, hop: Hop) -> tuple[int, bool]:
        """Its position, and whether it is new."""
        is_new = key not in self._listener_at
        if is_new:
            self._listener_at[key] = len(self.listeners)
            self.listeners.append(hop)
        return self._listener_at[key], is_new

    def route(self, key: object, hop: Hop) -> tuple[int, bool]:
        """Its position, and whether it is new."""
        is_new = key not in self._route_at
        if is_new:
            self._route_at[key] = len(self.routes)
            self.routes.append(Route(hop))
        return self._route_at[key], is_new

    def unseen_route(self, hidden: OutOfView) -> int:
        """What stands for the routes of a kind that cannot be seen; its position."""
        hop = Hop(State.UNSEEN, f"{hidden.gap.kind.name}s", says=hidden.gap.reason)
        position, _ = self.route(("unseen", hop.label, hop.says), hop)
        return position

    def way(self, host: str, listener: int, route: int) -> None:
        """Requests for a host come to this listener and go to this route."""
        self.ways.setdefault(host.lower() or ANY, {})[listener, route] = None
        self.with_routes.add(listener)

    def unrouted(self, host: str, listener: int) -> None:
        """A listener has this host, and no route takes it there."""
        self.idle.setdefault(host.lower() or ANY, {})[listener] = None

    def leads(self, route: int, backends: Iterable[int]) -> None:
        """Where a route leads, each backend once."""
        self.routes[route].backends = list(dict.fromkeys(backends))

    def hosts(self) -> list[Host]:
        """Every hostname, by name, without a verdict yet."""
        found = []
        for name in sorted(self.ways.keys() | self.idle.keys()):
            ways = [Way(*way) for way in self.ways.get(name, ())]
            ways += [Way(listener) for listener in self.idle.get(name, ())]
            found.append(Host(name, State.OK, ways))
        return found
