"""What passes through the fault proxy, and what can happen to it on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class Exchange:
    """One request, and what the client got."""

    method: str
    path: str
    query: str
    status: int
    size: int
    """Bytes of the body that went to the client, as they were on the wire."""
    items: int | None
    """How many objects were in it, if it was a list and came through whole and unharmed."""
    headers: Mapping[str, str]
    """What the request said of the form that it wants: Accept and Accept-Encoding."""
    start: float
    end: float
    """Seconds of the monotonic clock."""

    @property
    def target(self) -> str:
        """Path and query, as rules see them."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True)
class Answer:
    """What the proxy says instead of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Words:
    """What the proxy says instead of the server, from the status line on, as no server should."""

    content: bytes
    rate: float | None = None
    """Bytes per second."""
    refrain: bytes = b""
    """What comes after it, again and again, until the client goes."""


@dataclass(frozen=True)
class Body:
    """What happens to the body of the server's answer on its way."""

    end: int | None = None
    """After so many bytes the connection ends ..."""
    reset: bool = False
    """... with a reset rather than quietly."""
    corrupt: int | None = None
    """The byte at this place, and the 15 after it, are not what they were."""
    rate: float | None = None
    """Bytes per second."""
    endless: bool = False
    """When the server's body is through, blanks follow for ever."""


@dataclass
class Rule:
    """What to do to requests whose path and query match; `times` is None for all of them."""

    target: re.Pattern[str]
    method: str | None
    times: int | None
    answer: Answer | Words | None = None
    body: Body | None = None
    delay: float = 0.0
    used: int = field(default=0, init=False)

    def matches(self, method: str, target: str) -> bool:
        """Whether the rule is for this request and has not been used up."""
        wanted = self.method in (None, method) and self.target.search(target)
        return bool(wanted) and (self.times is None or self.used < self.times)


_REASONS = {410: "Expired", 500: "InternalError", 504: "Timeout"}


def status_object(code: int) -> bytes:
    """The body with which the API server says a code."""
    phrase = HTTPStatus(code).phrase
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{phrase} (from the fault proxy)",
        "reason": _REASONS.get(code, phrase.title().replace(" ", "")),
        "code": code,
    }
    return json.dumps(status).encode()
