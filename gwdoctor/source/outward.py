"""Requests to a webhook or a Pushgateway: to the address that the user gave, and nowhere else.

No redirect is followed and no proxy asked. The name is resolved once, every address of it is
looked at, and the connection goes to one of these: a name cannot lead to the metadata service of a
cloud, whose answers are credentials. What the other side answers is not kept.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gwdoctor.source import addresses
from gwdoctor.source.tls import is_local
from gwdoctor.version import __version__

SECONDS = 10.0
#: How long after a failure that may pass it is tried again.
PAUSES = (1.0, 3.0)


class Undelivered(Exception):
    """It did not arrive. The text names the host and never the whole address, which may be a key."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to, taken apart."""

    host: str
    port: int
    is_secure: bool
    path: str = field(repr=False)
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.host


def address(url: str, what: str) -> Address:
    """Raises Undelivered for what is no address; `what` says where it stands."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Undelivered(f"{what} is no URL") from None
    if not url.isprintable() or " " in url:
        raise Undelivered(f"{what} is no URL: it holds a space or a control character")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Undelivered(f"{what} has to begin with https:// or http://, and a host")
    try:
        host = (
            parts.hostname.encode("idna").decode() if ":" not in parts.hostname else parts.hostname
        )
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}".encode("ascii")
    except UnicodeError:
        raise Undelivered(f"{what} is no URL: it has to be ASCII") from None
    login = ""
    secure = parts.scheme == "https"
    if parts.username:
        if not secure and not is_local(host):
            raise Undelivered(f"{what} has a login in it, which is sent over https:// only")
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        login = f"Basic {base64.b64encode(pair).decode()}"
    return Address(host, port or (443 if secure else 80), secure, path.decode(), login)


def send(
    to: Address, body: bytes, *, content: str = "application/json", method: str = "POST"
) -> None:
    """Send it, three times at most. Raises Undelivered."""
    for pause in (*PAUSES, None):
        try:
            status = _once(to, body, content, method)
        except (OSError, http.client.HTTPException) as error:
            problem = _told(error)
        else:
            if 200 <= status < 300:
                return
            problem = f"answers {status} {http.client.responses.get(status, '')}".rstrip()
            if status != 429 and status < 500:
                raise Undelivered(f"{to} {problem}")
        if pause is None:
            raise Undelivered(f"{to} {problem}")
        time.sleep(pause)


def _once(to: Address, body: bytes, content: str, method: str) -> int:
    sock = _connected(to)
    scheme = http.client.HTTPSConnection if to.is_secure else http.client.HTTPConnection
    connection = scheme(to.host, to.port, timeout=SECONDS)
    try:
        if to.is_secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=to.host)
        connection.sock = sock  # so that it does not look for the host itself
        headers = {"Content-Type": content, "User-Agent": f"gwdoctor/{__version__}"}
        if to.authorization:
            headers["Authorization"] = to.authorization
        connection.request(method, to.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
        sock.close()


def _connected(to: Address) -> socket.socket:
    """A connection to one of the addresses of the host, after a look at all of them."""
    found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    looked_up = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in looked_up:
        if addresses.is_never_connected_to(ipaddress.ip_address(text.partition("%")[0])):
            raise Undelivered(
                f"{to} is {text}: link-local and metadata addresses get no report from here"
            )
    problem: OSError = OSError("has no address")
    for text in looked_up:
        try:
            return socket.create_connection((text, to.port), timeout=SECONDS)
        except OSError as error:
            problem = error
    raise problem


def _told(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return "cannot be resolved"
        case ssl.SSLCertVerificationError():
            return f"shows a certificate that is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return "brings no TLS connection about"
        case TimeoutError():
            return "does not answer"
        case ConnectionRefusedError():
            return "refuses the connection"
    return "breaks the connection off"
