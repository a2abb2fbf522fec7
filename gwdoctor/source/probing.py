"""Probes of ports, a few at a time, each with an end: handshakes, and a request in clear text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gwdoctor.source import addresses, handshake, http2, streams
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.crew import Crew
from gwdoctor.source.handshake import Shown

#: So many probes are under way at a time, and each takes no longer than this.
AT_A_TIME = 8
SECONDS = 5.0


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What to connect to: an address and port, or with `pod` a Pod's port; and what to ask for."""

    host: str
    port: int
    namespace: str
    pod: str
    server_name: str
    #: also ask in clear text where there is no handshake
    is_backend: bool = False
    #: after the handshake, ask for this host: as a browser that reuses the connection
    reused_for: str = ""


def probe(
    connection: Connection,
    targets: Sequence[Target],
    allowed: Sequence[addresses.Network],
) -> Iterator[tuple[Target, Shown | Trouble]]:
    """What each showed, as it comes. Those that the deadline cut off are left out."""
    with Crew[Target, Shown](AT_A_TIME, connection.deadline) as crew:
        for target in targets:
            crew.submit(target, partial(_one, connection, target, allowed))
        for target, outcome in crew.outcomes():
            if isinstance(outcome, Shown | Trouble):
                yield target, outcome
            else:  # an address that is not connected to
                yield target, Trouble(str(outcome) or type(outcome).__name__)


def _one(connection: Connection, target: Target, allowed: Sequence[addresses.Network]) -> Shown:
    if target.reused_for:
        return _reused(connection, target, allowed)
    shown = _shake(connection, target, allowed)
    # some servers that speak clear text only say nothing to a handshake, or hang up
    if target.is_backend and shown.problem in (handshake.CLOSED, handshake.SILENT):
        with _Closing(_open(connection, target, allowed)) as stream:
            plain = handshake.speaks_http(stream, target.server_name or "localhost")
        if plain.problem == handshake.CLEAR_TEXT and plain.told.startswith("HTTP/"):
            return plain
    return shown


def _reused(connection: Connection, target: Target, allowed: Sequence[addresses.Network]) -> Shown:
    """What a request gets on the connection of another host, and on one of its own."""
    shown = Shown()
    statuses: list[int] = []
    for name in (target.server_name, target.reused_for):
        with _Closing(_open(connection, target, allowed)) as stream:
            session = handshake.Session(stream, name)
            met = session.shake()
            shown = shown if statuses else met
            speaks = not met.problem and met.protocol == "h2"
            try:
                status = (
                    http2.head(target.reused_for, session.send, session.receive) if speaks else 0
                )
            except Trouble:  # it says nothing, or hangs up
                status = 0
            statuses.append(status)
    return replace(shown, statuses=(statuses[0], statuses[1]))


def _shake(connection: Connection, target: Target, allowed: Sequence[addresses.Network]) -> Shown:
    with _Closing(_open(connection, target, allowed)) as stream:
        return handshake.shake(stream, target.server_name)


def _open(
    connection: Connection, target: Target, allowed: Sequence[addresses.Network]
) -> streams.Stream:
    limit = connection.deadline.capped(SECONDS)
    if target.pod:
        return streams.PortForward(connection, target.namespace, target.pod, target.port, limit)
    return streams.Tcp(target.host, target.port, allowed, limit)


class _Closing:
    """Closes a stream at the end of a block."""

    def __init__(self, stream: streams.Stream) -> None:
        self._stream = stream

    def __enter__(self) -> streams.Stream:
        return self._stream

    def __exit__(self, *_: object) -> None:
        self._stream.close()
