"""A request as its client would send it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_SECRET = re.compile(r"auth|cookie|token|key|secret|password")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadRequest(ValueError):
    """What was asked for is no request that a client could send; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for. `host` is what it asks by; `address` an IP that it connects to.

    `sni` is the name in the TLS handshake, empty for none. Names are in lower case, without the
    trailing dot. `scheme_is_given` is False where the user named a host only.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""
    method: str = "GET"
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: names in lower case
    sni: str = ""
    address: str = ""
    scheme_is_given: bool = True

    @property
    def is_tls(self) -> bool:
        """Whether the client starts with a TLS handshake."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """As one would type it."""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}{port}{self.path}{f'?{self.query}' if self.query else ''}"

    @property
    def told_headers(self) -> dict[str, tuple[str, ...]]:
        """Its headers without credentials, for a report."""
        return {
            name: ("(not shown)",) if _SECRET.search(name) else values
            for name, values in self.headers.items()
        }

    @property
    def parameters(self) -> dict[str, str]:
        """The first value of each query parameter."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    def over(self, scheme: str) -> Request:
        """The same with another scheme, at the port of that scheme."""
        sni = self.host if scheme == "https" and not is_address(self.host) else ""
        return replace(self, scheme=scheme, port=PORTS[scheme], sni=sni)


def is_address(host: str) -> bool:
    """Whether it is an IP address, which no client sends as SNI."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def asked(
    text: str,
    *,
    method: str = "",
    headers: Iterable[str] = (),
    sni: str = "",
    port: int | None = None,
) -> Request:
    """The request of a URL or a host name. Raises BadRequest."""
    scheme, given, rest = _scheme(text.strip())
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        number = parts.port
        name = parts.hostname or ""
    except ValueError as error:
        raise BadRequest(f"{text!r} is no URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise BadRequest("a URL with a user or password: leave them out, they are not needed here")
    if "%" in name:
        raise BadRequest(f"{text!r}: the host has a percent sign in it")
    number = port if port is not None else number
    if not given and number in (80, 8080):
        scheme = "http"
    number = PORTS[scheme] if number is None else number
    if not 1 <= number <= 65535:
        raise BadRequest(f"{number} is no port: 1 to 65535")
    host = _name(name, text)
    sent = _headers(headers)
    address = ""
    if "host" in sent:
        asked_for = sent.pop("host")[-1]
        address, host = (host if is_address(host) else ""), _name(_bare(asked_for), asked_for)
        target = name.lower().rstrip(".")
    else:
        target = host
        address = host if is_address(host) else ""
    if sni:
        target = _name(sni, sni)
        if is_address(target):
            raise BadRequest(f"--sni: {sni!r} is an address; TLS clients send names only")
    wire = method.strip().upper() or "GET"
    if not _TOKEN.fullmatch(wire):
        raise BadRequest(f"-X: {method!r} is no method")
    has_sni = scheme == "https" and not is_address(target)
    return Request(
        scheme,
        host,
        number,
        parts.path or "/",
        parts.query,
        wire,
        sent,
        target if has_sni else "",
        address,
        given,
    )


def _scheme(text: str) -> tuple[str, bool, str]:
    """Scheme, whether it was written, and the rest."""
    if not text:
        raise BadRequest("the URL is empty; write https://shop.example.com/cart")
    if any(ord(c) <= 32 or ord(c) == 127 for c in text):
        raise BadRequest(f"{text!r} has a space or control character in it")
    scheme, sign, rest = text.partition("://")
    if not sign:
        return "https", False, text
    if scheme.lower() not in PORTS:
        raise BadRequest(f"{scheme!r} is no scheme to walk: http or https")
    return scheme.lower(), True, rest


def _bare(authority: str) -> str:
    """A Host header without its port."""
    name, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        authority = name
    return authority.removeprefix("[").removesuffix("]")


def _name(name: str, given: str) -> str:
    host = name.lower().rstrip(".")
    if not host:
        raise BadRequest(f"{given!r} has no host; write https://shop.example.com/cart")
    if is_address(host):
        return host
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise BadRequest(f"{given!r}: the host is no name that DNS could hold") from None
    if host.startswith("*"):
        raise BadRequest(f"{given!r} is a pattern; a request has one host, as shop{host[1:]}")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadRequest(f"{given!r}: {host!r} is no host name")
    return host


def _headers(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if not colon or not _TOKEN.fullmatch(key):
            raise BadRequest(f"-H: {line!r} is no header; write 'Name: value'")
        if any(ord(c) < 32 and c != "\t" for c in value):
            raise BadRequest(f"-H: the value of {key} has a control character in it")
        found[key] = (*found.get(key, ()), value.strip())
    return found
