"""Where each station of the map stands in the drawing. The same map, the same drawing."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TypeVar

from gwdoctor.entry import Hop, Host, RequestMap, State
from gwdoctor.render.words import visible

T = TypeVar("T")
COLUMNS = ("Hostname", "Listener", "Route", "Service", "Endpoints")
#: Left edge and width of each column, in pixels.
LEFT = (14, 280, 496, 722, 938)
WIDTH = (234, 184, 194, 184, 128)
TOTAL = 1080
HEIGHT = 44
PITCH = 56
TOP = 44
#: More ways than this of one hostname are counted, not drawn.
MOST_WAYS = 6
#: More backends than this of one route are counted, not drawn.
MOST_BACKENDS = 6


@dataclass(eq=False)
class Node:
    """A station: a box with two lines. `full` is its text uncut, for those who hear or hover."""

    column: int
    state: State
    title: str
    subtitle: str
    full: str
    finding: str = ""  #: the first finding on it
    y: int = 0
    children: list[Node] = field(default_factory=list)
    ends: list[Node] = field(default_factory=list)  #: of a hostname: the routes of its own ways

    @property
    def x(self) -> int:
        """Its left edge."""
        return LEFT[self.column]

    @property
    def width(self) -> int:
        """How wide its box is."""
        return WIDTH[self.column]

    def edge_to(self, other: Node) -> str:
        """The path of the line to a station on its right."""
        x1, y1 = self.x + self.width, self.y + HEIGHT // 2
        x2, y2 = other.x, other.y + HEIGHT // 2
        if y1 == y2:
            return f"M{x1} {y1}H{x2}"
        middle = (x1 + x2) // 2
        return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


@dataclass(frozen=True)
class Drawing:
    """All stations, and how high the picture is."""

    nodes: list[Node]
    height: int


def drawing(request_map: RequestMap, hosts: list[Host]) -> Drawing:
    """The ways of these hostnames; stations that they share stand once."""
    pen = _Pen(request_map)
    roots = [pen.host(host) for host in hosts]
    _place(roots)
    columns: list[list[Node]] = [[] for _ in COLUMNS]
    for node in _walk(roots):
        columns[node.column].append(node)
    bottom = 0
    for column in columns:
        free = TOP
        for node in column:
            node.y = max(node.y, free)
            free = node.y + PITCH
        bottom = max(bottom, free)
    return Drawing([node for column in columns for node in column], bottom)


def _place(roots: list[Node]) -> None:
    """Each end of a way gets a row; the others stand at the height of what they lead to.

    A hostname stands beside its own routes, not in a crowd before the listener that many share.
    """
    done: set[int] = set()
    row = 0

    def visit(node: Node) -> None:
        nonlocal row
        if id(node) in done:
            return
        done.add(id(node))
        for child in node.children:
            visit(child)
        beside = node.ends or node.children
        if beside:
            node.y = sum(other.y for other in beside) // len(beside)
        else:
            node.y = TOP + row * PITCH
            row += 1

    for root in roots:
        visit(root)


def _walk(roots: list[Node]) -> list[Node]:
    found: dict[int, Node] = {}
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += reversed(node.children)
    return list(found.values())


class _Pen:
    """Makes the stations, each once."""

    def __init__(self, request_map: RequestMap) -> None:
        self._map = request_map
        hosts = map(id, request_map.hosts)  # a file may give two the same name
        self._states = dict(zip(hosts, request_map.states(), strict=True))
        self._made: dict[tuple[str, int], Node] = {}

    def host(self, host: Host) -> Node:
        name = hostname(host.name)
        node = Node(
            0, host.state, fitting(name, 0), WORDS[host.state], f"{name}: {WORDS[host.state]}"
        )
        for way in _worst(host.ways, self._states[id(host)], MOST_WAYS):
            listener = self._once("listener", way.listener, 1, self._map.listeners[way.listener])
            _join(node, listener)
            if way.route is not None:
                route = self._route(way.route)
                _join(listener, route)
                node.ends.append(route)
        if len(host.ways) > MOST_WAYS:
            _join(node, _more(1, len(host.ways) - MOST_WAYS, "ways"))
        return node

    def _route(self, position: int) -> Node:
        is_new = ("route", position) not in self._made
        route = self._map.routes[position]
        node = self._once("route", position, 2, route.hop)
        if is_new:
            states = [self._map.backends[position].state for position in route.backends]
            for backend in _worst(route.backends, states, MOST_BACKENDS):
                _join(node, self._backend(backend))
            if len(route.backends) > MOST_BACKENDS:
                _join(node, _more(3, len(route.backends) - MOST_BACKENDS, "Services"))
        return node

    def _backend(self, position: int) -> Node:
        backend = self._map.backends[position]
        node = self._once("service", position, 3, backend.service)
        if backend.endpoints is not None:
            _join(node, self._once("endpoints", position, 4, backend.endpoints))
        return node

    def _once(self, kind: str, position: int, column: int, hop: Hop) -> Node:
        node = self._made.get((kind, position))
        if node is None:
            node = self._made[kind, position] = Node(
                column,
                hop.state,
                fitting(title(hop), column),
                fitting(subtitle(hop), column, small=True),
                f"{WORDS[hop.state]}: {full(hop)}",
                hop.findings[0] if hop.findings else "",
            )
        return node


def _worst(items: list[T], states: list[State], most: int) -> list[T]:
    """The worst so many of these, in their own order."""
    ranked = sorted(range(len(items)), key=lambda n: tuple(State).index(states[n]))
    return [items[n] for n in sorted(ranked[:most])]


def _join(node: Node, child: Node) -> None:
    if not any(child is other for other in node.children):
        node.children.append(child)


def _more(column: int, number: int, what: str) -> Node:
    text = f"and {number} more {what}"
    return Node(column, State.UNROUTED, text, "see the table", text)


# --- words -------------------------------------------------------------------------------

WORDS = {
    State.BROKEN: "requests fail",
    State.DEGRADED: "at risk",
    State.UNSEEN: "not seen",
    State.UNROUTED: "no route",
    State.OK: "no problem found",
}
SIGNS = {
    State.BROKEN: "✕",
    State.DEGRADED: "!",
    State.UNSEEN: "?",
    State.UNROUTED: "–",  # noqa: RUF001
    State.OK: "✓",
}


def hostname(name: str) -> str:
    """A hostname of the map in words."""
    return "any hostname" if name == "*" else visible(name)


def title(hop: Hop) -> str:
    """The first line of a station."""
    return visible(hop.label or (hop.object.name if hop.object else ""))


def subtitle(hop: Hop) -> str:
    """The second: what is wrong with it, else which part of what it is."""
    if hop.says:
        return visible(hop.says)
    return " · ".join(part for part in (visible(hop.part), _kind(hop)) if part)


def full(hop: Hop) -> str:
    """A station in one line, with nothing left out."""
    named = hop.object
    parts = [visible(hop.label)] if hop.label else []
    if named is not None:
        parts.append(f"{kind_of(named.apiVersion, named.kind)} {_where(hop)}")
    parts += [visible(text) for text in (hop.part, hop.says) if text]
    return ", ".join(parts)


def kind_of(api_version: str, kind: str) -> str:
    """A kind by name; there are two Gateways."""
    return visible(f"Istio {kind}" if api_version.startswith("networking.istio.io/") else kind)


def _where(hop: Hop) -> str:
    assert hop.object is not None
    return visible(f"{hop.object.namespace}/{hop.object.name}".lstrip("/"))


def _kind(hop: Hop) -> str:
    if hop.object is None:
        return ""
    if hop.object.kind == "Service":
        return visible(hop.object.namespace)
    kind = kind_of(hop.object.apiVersion, hop.object.kind)
    return f"{kind} · {visible(hop.object.namespace)}".removesuffix(" · ")


#: About how wide a character is, next to most.
_NARROW = frozenset("iljI.,:;'|! ")
_WIDE = frozenset("mwMW@%<>=+~#&")
_EM = 7.0
_SMALL_EM = 5.8


def fitting(text: str, column: int, *, small: bool = False) -> str:
    """Text that fits into the box of a column, cut at its end where it does not."""
    room = (WIDTH[column] - 36) / (_SMALL_EM if small else _EM)
    used = 0.0
    for position, character in enumerate(text):
        used += _width(character)
        if used > room:
            return f"{text[: max(position - 1, 1)]}…"
    return text


def _width(character: str) -> float:
    if character in _NARROW:
        return 0.62
    if unicodedata.east_asian_width(character) in "WF":
        return 1.9
    return 1.45 if character in _WIDE else 1.15 if character.isupper() else 1.0
