"""The HTTPS server of the fault proxy: takes a request, asks the real server, harms the answer."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from testbed.faultrules import Answer, Body, Exchange, Words

BLOCK = 64 * 1024
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"}


class FaultServer(ThreadingHTTPServer):
    """Serves HTTPS on a free port; what it does to a request, it asks `rules_for`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        context: ssl.SSLContext,
        upstream: Callable[[], http.client.HTTPSConnection],
        rules_for: Callable[[str, str], tuple[float, Answer | Words | None, Body]],
        record: Callable[[Exchange], None],
        *,
        count_items: bool,
        version: str,
    ) -> None:
        self.upstream = upstream
        self.rules_for = rules_for
        self.record = record
        self.count_items = count_items
        self.version = version
        self.stopping = threading.Event()
        self._context = context
        self._connections: set[ssl.SSLSocket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: object, client_address: object) -> None:
        """Shake hands in the connection's own thread: a slow client is nobody else's problem."""
        assert isinstance(request, socket.socket)
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(request, server_side=True) as secured,
        ):
            self._connections.add(secured)
            try:
                socketserver.TCPServer.finish_request(self, secured, client_address)
            finally:
                self._connections.discard(secured)

    def server_close(self) -> None:
        """Stop listening and end every connection."""
        super().server_close()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer

    def setup(self) -> None:
        super().setup()
        self.protocol_version = self.server.version  # of the instance, which is asked first
        self._upstream = self.server.upstream()

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def log_message(self, *_: object) -> None:
        """Nothing: the proxy remembers, it does not talk."""

    def _handle(self) -> None:
        start = time.monotonic()
        delay, answer, body = self.server.rules_for(self.command, self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.stopping.wait(delay)
        unharmed = answer is None and body == Body()
        meter = _Meter(start, keeps=unharmed and self.server.count_items)
        try:
            if isinstance(answer, Words):
                self._say(answer, meter)
            elif answer:
                self._answer(answer, meter)
            else:
                self._forward(sent, body, meter)
        finally:
            self._record(meter)

    def _record(self, meter: _Meter) -> None:
        """Once for a request, and before the client has all of it: then it is sure to be there."""
        if meter.recorded:
            return
        meter.recorded = True
        parts = urlsplit(self.path)
        exchange = Exchange(
            method=self.command,
            path=parts.path,
            query=parts.query,
            status=meter.status,
            size=meter.size,
            items=meter.items(),
            headers={k: v for k, v in self.headers.items() if k.lower().startswith("accept")},
            start=meter.start,
            end=time.monotonic(),
        )
        self.server.record(exchange)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _handle  # noqa: N815

    def _answer(self, answer: Answer, meter: _Meter) -> None:
        meter.status = answer.status
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in {**headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        meter.add(answer.body)
        self._record(meter)
        self.wfile.write(answer.body)

    def _say(self, words: Words, meter: _Meter) -> None:
        self.close_connection = True
        meter.add(words.content)
        self._record(meter)
        if words.rate is None:
            self.wfile.write(words.content)
        else:
            for byte in words.content:
                self.wfile.write(bytes([byte]))
                if self.server.stopping.wait(1 / words.rate):
                    return
        while words.refrain and not self.server.stopping.is_set():
            self.wfile.write(words.refrain)

    def _forward(self, sent: bytes, body: Body, meter: _Meter) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        if sent:
            headers["Content-Length"] = str(len(sent))
        self._upstream.request(self.command, self.path, sent or None, headers)
        response = self._upstream.getresponse()
        meter.status = response.status
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        length = None if body.endless else response.length
        chunked = length is None and self.protocol_version != "HTTP/1.0"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        meter.encoding = response.getheader("Content-Encoding", "")
        for block in self._blocks(response, body):
            meter.add(block)
            if meter.size == length:
                self._record(meter)
            framed = b"%x\r\n%s\r\n" % (len(block), block)
            self.wfile.write(framed if chunked else block)
        response.close()
        self._record(meter)
        if body.end is not None and meter.size >= body.end:
            self._upstream.close()  # the rest of the answer is still on its way to us
            self._break_off(reset=body.reset)
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _blocks(self, response: http.client.HTTPResponse, body: Body) -> Iterator[bytes]:
        """The server's body in pieces, as a rule has it."""
        position = 0
        size = BLOCK if body.rate is None else max(1, min(BLOCK, int(body.rate / 10)))
        while block := response.read1(size):
            if body.corrupt is not None:
                block = _corrupted(block, body.corrupt - position)
            if body.end is not None:
                block = block[: body.end - position]
            position += len(block)
            if block:
                yield block
            if body.end is not None and position >= body.end:
                return
            if body.rate is not None and self.server.stopping.wait(len(block) / body.rate):
                return
        while body.endless and not self.server.stopping.wait(0.01):
            yield b" " * 1024

    def _break_off(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # A reset also destroys what the client has not read yet: let it read what we sent.
            self.server.stopping.wait(0.2)
            # With this, closing does not say goodbye: the client's kernel reports a reset.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(self.connection.detach())


class _Meter:
    """What has gone to the client."""

    def __init__(self, start: float, *, keeps: bool) -> None:
        self.start = start
        self.recorded = False
        self.status = 0
        self.size = 0
        self.encoding = ""
        self._kept: list[bytes] | None = [] if keeps else None

    def add(self, block: bytes) -> None:
        self.size += len(block)
        if self._kept is not None:
            self._kept.append(block)

    def items(self) -> int | None:
        """The number of objects if what was kept is a list, and readable."""
        content = b"".join(self._kept or ())
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError, EOFError):
            text = gzip.decompress(content) if self.encoding == "gzip" else content
            return len(json.loads(text)["items"])
        return None


def _corrupted(block: bytes, offset: int) -> bytes:
    changed = bytearray(block)
    for place in range(max(0, offset), min(len(block), offset + 16)):
        changed[place] ^= 0xFF
    return bytes(changed)
