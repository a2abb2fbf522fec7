"""A TLS handshake over any stream: what is shown to a client that asks for a name.

Nothing is verified. What is sent after a handshake, somebody else decides.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from gwdoctor.kinds import CertificateView
from gwdoctor.source import secrets
from gwdoctor.source.streams import Silent, Stream

_ALPN = ["h2", "http/1.1"]
#: Records of TLS begin with one of these: alert, handshake.
_RECORDS = (0x15, 0x16)
_MOST_CERTIFICATES = 10

#: What can go wrong, as `Shown.problem` says it.
CLEAR_TEXT, CLOSED, SILENT, REFUSED = "clear text", "closed", "silent", "refused"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server showed; `problem` is empty where the handshake came about."""

    problem: str = ""
    told: str = ""  #: the alert, or the first words in clear text
    version: str = ""  #: TLSv1.3
    protocol: str = ""  #: what ALPN agreed on
    certificates: list[bytes] = field(default_factory=list)  #: as they came: DER, see `views`
    #: of a request for another host on this connection; and of one on a connection of its own
    statuses: tuple[int, int] = (0, 0)


class Session:
    """A TLS connection over a stream."""

    def __init__(self, stream: Stream, server_name: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = _context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name or None
        )

    def shake(self) -> Shown:
        """Shake hands. Raises Trouble where nothing can be reached."""
        first = b""
        while True:
            try:
                self._client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return _failed(error, first)
            else:
                return Shown(
                    version=self._client.version() or "",
                    protocol=self._client.selected_alpn_protocol() or "",
                    certificates=_certificates(self._client),
                )
            try:
                self._flush()
                received = self._stream.receive()
            except Silent:
                return Shown(SILENT)
            first = first or received
            if not received:
                return Shown(CLOSED)
            if first[0] not in _RECORDS:
                return Shown(CLEAR_TEXT, _words(first))
            self._incoming.write(received)

    def send(self, data: bytes) -> None:
        """Send data, after the handshake."""
        self._client.write(data)
        self._flush()

    def receive(self) -> bytes:
        """The data that comes next; empty at the end."""
        while True:
            try:
                return self._client.read(1 << 16)
            except ssl.SSLWantReadError:
                self._flush()
                received = self._stream.receive()
                if not received:
                    return b""
                self._incoming.write(received)
            except ssl.SSLError:
                return b""

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._stream.send(self._outgoing.read())


def shake(stream: Stream, server_name: str) -> Shown:
    """Shake hands, with this SNI (empty: none). Raises Trouble where nothing can be reached."""
    return Session(stream, server_name).shake()


def speaks_http(stream: Stream, host: str) -> Shown:
    """Whether a port answers a request in clear text: a HEAD of /, which changes nothing."""
    stream.send(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
    try:
        received = stream.receive()
    except Silent:
        return Shown(SILENT)
    if not received:
        return Shown(CLOSED)
    return Shown(CLEAR_TEXT, _words(received))


def _context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE  # what is shown is to be seen, whoever it comes from
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = ssl.TLSVersion.TLSv1
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.set_alpn_protocols(_ALPN)
    return made


def _failed(error: ssl.SSLError, first: bytes) -> Shown:
    reason = (error.reason or "").lower().replace("_", " ")
    if first and first[0] not in _RECORDS:
        return Shown(CLEAR_TEXT, _words(first))
    return Shown(REFUSED, reason or "the handshake failed")


def _words(received: bytes) -> str:
    """The first line, as far as it is text."""
    line = received[:80].split(b"\n")[0].decode("ascii", "replace")
    return " ".join("".join(c if c.isprintable() and c != "\ufffd" else " " for c in line).split())


def _certificates(client: ssl.SSLObject) -> list[bytes]:
    """What was sent, the leaf first."""
    leaf = client.getpeercert(binary_form=True)
    chain = [leaf] if leaf else []
    below: Any = getattr(client, "get_unverified_chain", None)  # public from Python 3.13 on
    if below is None:
        below = getattr(getattr(client, "_sslobj", None), "get_unverified_chain", None)
    if below is not None:
        sent = [c if isinstance(c, bytes) else c.public_bytes(_DER) for c in below() or ()]
        chain = sent or chain
    return chain[:_MOST_CERTIFICATES]


def views(chain: Sequence[bytes]) -> list[CertificateView]:
    """What is kept of certificates. For the main thread: the others only wait for servers."""
    found = []
    for der in chain:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(secrets.certificate(x509.load_der_x509_certificate(der)))
        except Exception:  # the parser has many, and what cannot be parsed cannot be compared
            break
    return found


_DER = 2  #: OpenSSL's number for it, X509_FILETYPE_ASN1
