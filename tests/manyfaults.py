"""What can happen to any request, through the fault proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from testbed import FaultProxy

#: Proxy, path and query of the request, and how often (None: always).
Fault = Callable[[FaultProxy, str, int | None], Any]

#: Seconds for a request, where a fault never lets one end.
PATIENCE = 0.2
PAGE = b"<!DOCTYPE html>\n<title>Sign in</title>"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def status(code: int, body: bytes | None = None, **headers: str) -> Fault:
    """An answer in the server's place."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda proxy, path, times: proxy.fail(path, code, times, headers=named, body=body)


#: Those that asking again outlasts, if they happen once.
PASSING: dict[str, Fault] = {
    "429": status(429),
    "429 with Retry-After": status(429, Retry_After="0"),
    "429 with a date": status(429, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"),
    "500": status(500),
    "503": status(503),
    "503 of a proxy": status(503, PAGE),
    "reset": lambda proxy, path, times: proxy.reset_after(path, 0, times),
    "reset in mid body": lambda proxy, path, times: proxy.reset_after(path, 40, times),
    "truncated": lambda proxy, path, times: proxy.truncate_after(path, 40, times),
    "corrupt": lambda proxy, path, times: proxy.corrupt(path, 5, times),
    "corrupt gzip": status(200, b"\x1f\x8b\x08 no more", Content_Encoding="gzip"),
    "half of a JSON": status(200, b'{"kind":"'),
    "nothing": status(200, b""),
}
#: Those that no request outlasts but by its own time.
SLOW: dict[str, Fault] = {
    "silence": lambda proxy, path, times: proxy.delay(path, 30, times),
    "endless": lambda proxy, path, times: proxy.endless(path, times),
    "a byte a second": lambda proxy, path, times: proxy.drip(path, 1, times),
    "a head byte by byte": lambda proxy, path, times: proxy.say(path, _HEAD, times, rate=10),
}
#: Those that asking again does not help against.
STAYING: dict[str, Fault] = {
    "401": status(401),
    "403": status(403),
    "409": status(409),
    "410": status(410),
    "404 of a proxy": status(404, PAGE),
    "429 for a while": status(429, Retry_After="1000000000"),
    "redirect": status(302, b"", Location="https://127.0.0.1:1/login"),
    "a web page": status(200, PAGE, Content_Type="text/html"),
    "null": status(200, b"null"),
    "an object of nothing": status(200, b"{}"),
    "all of the wrong type": status(200, b'{"kind":7,"metadata":[],"items":{},"status":"x"}'),
    "a Status": status(200, b'{"kind":"Status","metadata":{},"status":"Success","message":"x"}'),
}
FAULTS: dict[str, Fault] = {**PASSING, **SLOW, **STAYING}
#: Every fault always, and those that pass also once.
CELLS = [*((name, None) for name in FAULTS), *((name, 1) for name in PASSING)]


@contextmanager
def somewhere_else() -> Iterator[tuple[str, list[bytes]]]:
    """An address in clear text where a redirect may lead, and what is said there."""
    heard: list[bytes] = []

    def listen() -> None:
        with suppress(OSError):
            while True:
                visitor, _ = server.accept()
                with visitor:
                    visitor.settimeout(5)
                    heard.append(visitor.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", heard
        server.shutdown(socket.SHUT_RDWR)
        listener.join(5)
