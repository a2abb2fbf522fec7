"""Loopback servers that write down what arrives: an API server, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it."""

    scheme: str
    path: str
    authorization: tuple[str, ...] = ()
    impersonation: tuple[tuple[str, str], ...] = ()
    server_name: str = ""
    client: str = ""
    proxied_by: tuple[str, ...] = ()


@dataclass
class Recorder:
    """Answers every request with `{}` and remembers it. `accepts` limits the logins it takes."""

    folder: Path
    requests: list[Seen] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    accepts: set[str] | None = None

    def __enter__(self) -> Self:
        self.authority = trustme.CA()
        self.ca_file = self.folder / "ca.crt"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        leaf = self.authority.issue_cert("127.0.0.1", "localhost", "other.example", "far.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.authority.configure_trust(context)
        context.sni_callback = _note_name
        self._secure = _Server(self, context)
        self._plain = _Server(self, None)
        self._proxy = _Proxy(self)
        for server in (self._secure, self._plain, self._proxy):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._secure, self._plain, self._proxy):
            server.shutdown()
            server.server_close()

    @property
    def port(self) -> int:
        return int(self._secure.server_address[1])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def plain_url(self) -> str:
        return f"http://127.0.0.1:{self._plain.server_address[1]}"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self._proxy.server_address[1]}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def client_certificate(self, name: str) -> tuple[str, str]:
        """Certificate and key of a user, PEM."""
        leaf = self.authority.issue_cert(common_name=name)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return chain.decode(), leaf.private_key_pem.bytes().decode()


def _note_name(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
    connection.asked_for = name or ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, recorder: Recorder, context: ssl.SSLContext | None) -> None:
        self.recorder = recorder
        self._context = context
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._context is None:
            socketserver.TCPServer.finish_request(self, request, client_address)
            return
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(request, server_side=True) as secured,
        ):
            socketserver.TCPServer.finish_request(self, secured, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        recorder = self.server.recorder
        secure = isinstance(self.connection, ssl.SSLSocket)
        logins = tuple(self.headers.get_all("Authorization") or ())
        recorder.agents.append(self.headers.get("User-Agent", ""))
        recorder.requests.append(
            Seen(
                "https" if secure else "http",
                self.path,
                logins,
                tuple(
                    sorted(
                        (name.title(), value.encode("latin-1").decode())
                        for name, value in self.headers.items()
                        if name.lower().startswith("impersonate-")
                    )
                ),
                getattr(self.connection, "asked_for", ""),
                _common_name(self.connection),
                tuple(_Proxy.passed.get(self.client_address[1], ())),
            )
        )
        refused = recorder.accepts is not None and not recorder.accepts & set(logins)
        self.send_response(401 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def _common_name(connection: Any) -> str:
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    subject: Any = (connection.getpeercert() or {}).get("subject", ())
    return next((v for part in subject for k, v in part if k == "commonName"), "")


class _Proxy(socketserver.ThreadingTCPServer):
    """Takes every CONNECT, whatever its target, to the recorder."""

    daemon_threads = True
    allow_reuse_address = True
    #: by the port that the recorder sees: the target that was asked for, and the login
    passed: dict[int, list[str]] = {}  # noqa: RUF012 - shared with the handlers

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__(("127.0.0.1", 0), _Tunnel)


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        target = self.rfile.readline().split()[1].decode()
        login = ""
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"proxy-authorization:"):
                login = line.partition(b":")[2].strip().decode()
        with socket.create_connection(self.server.recorder.address) as upstream:
            port = upstream.getsockname()[1]
            _Proxy.passed[port] = [target, login]
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
                back.start()
                _pump(self.connection, upstream)
                back.join(1)
            finally:
                del _Proxy.passed[port]  # another connection may get this port next


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def recorder(folder: Path) -> Iterator[Recorder]:
    with Recorder(folder) as started:
        yield started
