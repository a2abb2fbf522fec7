"""The logs of containers: the last lines of each, bounded in bytes and in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from gwdoctor.source import decode
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.crew import Crew

#: So many logs are read at a time, so much of each, and so long.
STREAMS = 4
MOST_BYTES = 1 << 20
MOST_SECONDS = 10.0
#: After so many refusals (403) in one namespace its other logs are not asked for.
_REFUSALS = 2


@dataclass(frozen=True, slots=True, order=True)
class Container:
    """Whose log."""

    namespace: str
    pod: str
    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of each log is asked for."""

    since: float | None = 900.0  #: seconds; None: from its beginning
    lines: int = 2_000
    bytes: int = MOST_BYTES
    seconds: float = MOST_SECONDS


def read(
    connection: Connection, containers: Sequence[Container], limits: Limits
) -> Iterator[tuple[Container, bytearray | Trouble]]:
    """What each wrote, as it comes: also as CutOff. Those that the deadline ended are left out."""
    refused: dict[str, int] = {}

    def one(container: Container) -> bytearray:
        if refused.get(container.namespace, 0) >= _REFUSALS:
            raise Trouble("it may not be read (403)", 403)
        try:
            log = connection.taste(
                f"/api/v1/namespaces/{quote(container.namespace, '')}/pods/"
                f"{quote(container.pod, '')}/log",
                _query(container, limits),
                most=limits.bytes,
                seconds=limits.seconds,
            )
        except Trouble as trouble:
            if trouble.status == 403:
                refused[container.namespace] = refused.get(container.namespace, 0) + 1
                raise Trouble("it may not be read (403)", 403) from None
            raise
        if decode.is_web_page(log):  # each line of a log begins with its time
            raise Trouble("what answers is a web page")
        return log

    with Crew[Container, bytearray](STREAMS, connection.deadline) as crew:
        for container in containers:
            crew.submit(container, partial(one, container))
        for container, outcome in crew.outcomes():
            if isinstance(outcome, bytearray | Trouble):
                yield container, outcome
            else:
                yield container, Trouble(str(outcome) or type(outcome).__name__)


def _query(container: Container, limits: Limits) -> dict[str, str]:
    asked = {
        "container": container.name,
        "timestamps": "true",
        "tailLines": str(limits.lines),
        "limitBytes": str(limits.bytes),
    }
    if limits.since is not None:
        asked["sinceSeconds"] = str(max(1, round(limits.since)))
    return asked
