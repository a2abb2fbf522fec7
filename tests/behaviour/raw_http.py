"""Clients that do just what a test says: which SNI, which Host, on which connection."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import h2.connection
import h2.events
from cryptography import x509

Address = tuple[str, int]
_PATIENCE = 30


@dataclass(frozen=True)
class Answer:
    """Status and body."""

    status: int
    body: str


class Trust:
    """Whom a client trusts, and the certificate it shows if asked."""

    def __init__(self, authority: bytes, client: tuple[Path, Path] | None = None) -> None:
        self._authority = authority.decode()
        self._client = client

    def context(self, protocol: str) -> ssl.SSLContext:
        """A context that verifies the server's certificate for the SNI."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._authority)
        context.set_alpn_protocols([protocol])
        if self._client:
            context.load_cert_chain(*self._client)
        return context


class Http2:
    """One HTTP/2 connection, on which requests for any host may be sent, as browsers do."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._scheme = "https" if isinstance(connection, ssl.SSLSocket) else "http"
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self._send()

    def get(self, authority: str) -> Answer:
        """GET / of a host, on this connection."""
        stream = self._h2.get_next_available_stream_id()
        head = {":method": "GET", ":scheme": self._scheme, ":authority": authority, ":path": "/"}
        self._h2.send_headers(stream, list(head.items()), end_stream=True)
        self._send()
        status, body = 0, b""
        while True:
            received = self._socket.recv(65536)
            assert received, "the server closed the connection"
            for event in self._h2.receive_data(received):
                match event:
                    case h2.events.ResponseReceived():
                        status = int(dict(event.headers)[b":status"])
                    case h2.events.DataReceived():
                        body += event.data
                        self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                    case h2.events.StreamEnded():
                        self._send()
                        return Answer(status, body.decode())
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        raise AssertionError(event)
            self._send()

    def may_be_reused_for(self, host: str) -> bool:
        """Whether a browser would: the server's certificate covers the host."""
        assert isinstance(self._socket, ssl.SSLSocket)
        der = self._socket.getpeercert(binary_form=True)
        assert der
        names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        covered = names.value.get_values_for_type(x509.DNSName)
        return host in covered or f"*.{host.partition('.')[2]}" in covered

    def _send(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


@contextmanager
def http2(address: Address, sni: str, trust: Trust) -> Iterator[Http2]:
    """A connection opened for one host."""
    with _tls(address, sni, trust.context("h2")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        yield Http2(connection)


@contextmanager
def http2_in_clear(address: Address) -> Iterator[Http2]:
    """A connection without TLS, as gRPC clients open them."""
    with closing(socket.create_connection(address, _PATIENCE)) as connection:
        yield Http2(connection)


def https(address: Address, sni: str, host: str, trust: Trust) -> Answer:
    """GET / over HTTP/1.1 and TLS, on a connection of its own."""
    with _tls(address, sni, trust.context("http/1.1")) as connection:
        return parsed(exchange(connection, host))


def plain(address: Address, host: str, path: str = "/") -> Answer:
    """GET in clear text, on a connection of its own."""
    with closing(socket.create_connection(address, _PATIENCE)) as connection:
        return parsed(exchange(connection, host, path))


def exchange(connection: socket.socket, host: str, path: str = "/") -> bytes:
    """Send a GET and read until the server closes."""
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def parsed(received: bytes) -> Answer:
    """An HTTP/1.1 answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    return Answer(int(status), body.decode())


@contextmanager
def _tls(address: Address, sni: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        closing(socket.create_connection(address, _PATIENCE)) as below,
        context.wrap_socket(below, server_hostname=sni) as connection,
    ):
        yield connection
