"""Two ways to a port: a TCP connection, and a port-forward through the API server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from gwdoctor.source import addresses
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.deadline import Deadline

_PROTOCOL = "v4.channel.k8s.io"
_PIECE = 1 << 16


class Stream(Protocol):
    """Bytes in both directions."""

    def send(self, data: bytes) -> None:
        """Send all of it."""

    def receive(self) -> bytes:
        """What comes next; empty at the end. Raises Trouble at the deadline."""

    def close(self) -> None:
        """Close it."""


class Silent(Trouble):
    """Nothing came before the deadline of the probe."""

    def __init__(self) -> None:
        super().__init__("nothing came")


class Tcp:
    """A connection to an address that was checked before."""

    def __init__(self, host: str, port: int, allowed: Sequence[addresses.Network], limit: Deadline):
        self._limit = limit
        refusal: Exception | None = None
        for address in addresses.resolve(host, port):
            try:
                # the address that was checked is the one that is connected to: no second look-up
                self._socket = socket.create_connection(
                    (addresses.checked(address, allowed), port), max(0.01, limit.left)
                )
                return
            except (OSError, addresses.Refused) as error:
                refusal = error
        if isinstance(refusal, addresses.Refused):
            raise refusal
        if isinstance(refusal, TimeoutError):
            raise Trouble(f"{host} port {port} does not answer") from None
        raise Trouble(f"{host} port {port} cannot be connected to")

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.settimeout(max(0.01, self._limit.left))
        try:
            self._socket.sendall(data)
        except OSError:
            raise Trouble("the connection was closed") from None

    def receive(self) -> bytes:
        """What comes next; empty at the end."""
        self._socket.settimeout(max(0.01, self._limit.left))
        try:
            return self._socket.recv(_PIECE)
        except TimeoutError:
            raise Silent from None
        except OSError:
            return b""

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class PortForward:
    """A port of a Pod, through the API server: a websocket with a channel for data and for errors."""

    def __init__(
        self, connection: Connection, namespace: str, pod: str, port: int, limit: Deadline
    ) -> None:
        import websocket  # of the `kubernetes` package's own needs; nobody else pays for it

        self._limit = limit
        way = connection.way()
        server = urlsplit(way.server)
        scheme = "wss" if server.scheme == "https" else "ws"
        path = f"/api/v1/namespaces/{quote(namespace, '')}/pods/{quote(pod, '')}/portforward"
        if way.context:
            way.context.sslsocket_class = _ended_by(limit)
        try:
            self._socket: Any = websocket.create_connection(
                f"{scheme}://{server.netloc}{server.path.rstrip('/')}{path}?ports={port}",
                timeout=max(0.01, limit.left),
                header=[f"{name}: {value}" for name, value in way.headers],
                subprotocols=[_PROTOCOL],
                sslopt={"context": way.context} if way.context else None,
                suppress_origin=True,
                enable_multithread=False,
                redirect_limit=0,
                **_proxy(way.proxy),
            )
        except websocket.WebSocketBadStatusException as error:
            status = int(error.status_code or 0)
            words = "it may not be connected to (403)" if status == 403 else f"refused ({status})"
            raise Trouble(words, status) from None
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise Trouble(f"no port-forward: {' '.join(str(error).split())[:200]}") from None
        self._greeted = {0: False, 1: False}

    def send(self, data: bytes) -> None:
        """Send all of it."""
        import websocket

        self._socket.settimeout(max(0.01, self._limit.left))
        try:
            self._socket.send_binary(b"\x00" + data)
        except (websocket.WebSocketException, OSError):
            raise Trouble("the connection was closed") from None

    def receive(self) -> bytes:
        """What comes next; empty at the end. Raises Trouble where the kubelet tells of an error."""
        import websocket

        while True:
            self._socket.settimeout(max(0.01, self._limit.left))
            try:
                message = self._socket.recv()
            except (websocket.WebSocketTimeoutException, TimeoutError):
                raise Silent from None
            except (websocket.WebSocketException, OSError):
                return b""
            if not message:
                return b""
            if isinstance(message, str):
                message = message.encode()
            channel, data = message[0], bytes(message[1:])
            if channel in self._greeted and not self._greeted[channel]:
                self._greeted[channel] = True  # each begins with the number of the port
                data = data[2:]
            if channel == 1 and data:
                words = " ".join(data.decode("utf-8", "replace").split())
                raise Trouble(f"the Pod's port cannot be reached: {words[:200]}")
            if channel == 0 and data:
                return data
            if self._limit.passed:
                raise Silent

    def close(self) -> None:
        """Close it, without waiting for the other side."""
        self._socket.shutdown()


def _ended_by(limit: Deadline) -> type[ssl.SSLSocket]:
    """Sockets that nobody keeps busy beyond a limit, a byte a second."""

    class Timed(ssl.SSLSocket):
        def recv(self, *how: Any) -> bytes:
            if limit.passed:
                raise TimeoutError("it takes too long")
            self.settimeout(max(0.01, limit.left))
            return super().recv(*how)

    return Timed


def _proxy(url: str) -> dict[str, Any]:
    """The options for an HTTP or SOCKS proxy."""
    if not url:
        return {}
    parts = urlsplit(url)
    login = (parts.username, parts.password or "") if parts.username else None
    return {
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or 80,
        "proxy_type": parts.scheme if parts.scheme.startswith("socks") else "http",
        "http_proxy_auth": login,
    }
