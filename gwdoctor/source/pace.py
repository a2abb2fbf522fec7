"""No part of an answer outlasts its limit: not the head, nor the size of a chunk, nor a trailer.

A timeout of a socket counts from byte to byte, so that a server may take for ever, a byte a second.
Here every single read has the time that is left.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gwdoctor.source.deadline import Deadline

_request = threading.local()


@contextmanager
def within(limit: Deadline, silence: float) -> Iterator[None]:
    """Answers to what this thread asks meanwhile end at the limit, or after a silence of seconds."""
    _request.pace = limit, silence
    try:
        yield
    finally:
        del _request.pace


def keep(manager: Any) -> None:
    """Let the answers that come by a pool manager of urllib3 keep within their limit."""
    manager.pool_classes_by_scheme = {
        scheme: _kept(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _kept(pool: Any) -> Any:
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": _Response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *how: Any, **more: Any) -> None:
        super().__init__(sock, *how, **more)
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), sock, *_request.pace))


class _Paced(io.RawIOBase):
    """What comes from a socket."""

    def __init__(self, raw: Any, sock: socket.socket, limit: Deadline, silence: float) -> None:
        self._raw, self._sock = raw, sock
        self._limit, self._silence = limit, silence

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._limit.passed:
            raise TimeoutError
        self._sock.settimeout(min(self._silence, self._limit.left))
        return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._raw.close()
        super().close()
