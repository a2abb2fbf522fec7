"""The TLS side of a connection: whom to trust, whom to claim to be, by which way to go."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from gwdoctor.source.access import Access
from gwdoctor.source.batch import NoCluster
from gwdoctor.source.credentials import Proof, authority_of


class _Settled(ssl.SSLContext):
    """A context for several threads: what it offers is said once, by `context`.

    urllib3 would say it again for each connection, and OpenSSL then frees what a thread that begins
    another connection is reading: its handshake is garbage (github.com/python/cpython/issues/141012).
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Nothing."""


def context(access: Access, proof: Proof) -> ssl.SSLContext:
    """A context that verifies as Go does: names by subjectAltName, authorities as they come.

    Python 3.13 would also refuse authorities without a key identifier, which clusters do have.
    """
    made = _Settled(ssl.PROTOCOL_TLS_CLIENT)
    ssl.SSLContext.set_alpn_protocols(made, ["http/1.1"])
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.hostname_checks_common_name = False
    if access.cluster.insecure_skip_tls_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif authority := authority_of(access):
        try:
            made.load_verify_locations(cadata=authority.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise NoCluster(
                f"{access.cluster_where}: certificate-authority holds no PEM certificate"
            ) from None
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate may be trusted, too
    else:
        made.load_default_certs()
    if proof.certificate:
        _show(made, proof, access.user_where)
    return made


def _show(made: ssl.SSLContext, proof: Proof, where: str) -> None:
    """Load certificate and key. OpenSSL reads files only: these have no name that could stay."""
    with tempfile.TemporaryFile("w+") as certificate, tempfile.TemporaryFile("w+") as key:
        for file, text in ((certificate, proof.certificate), (key, proof.key)):
            file.write(text)
            file.seek(0)
        shown, kept = (f"/dev/fd/{file.fileno()}" for file in (certificate, key))
        try:
            made.load_cert_chain(shown, kept, password=_no_password)
        except _Encrypted:
            raise NoCluster(f"{where}: client-key is protected by a password") from None
        except ssl.SSLError as error:
            reason = "do not belong together" if "MISMATCH" in str(error) else "cannot be read"
            raise NoCluster(f"{where}: client-certificate and client-key {reason}") from None


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    raise _Encrypted


def proxy(access: Access, environ: Mapping[str, str]) -> str:
    """The proxy to go by, or an empty string: `proxy-url`, else the environment, as Go reads it."""
    if access.cluster.proxy_url:
        return access.cluster.proxy_url
    parts = urlsplit(access.server)
    name = f"{parts.scheme}_proxy"
    found = environ.get(name.upper()) or environ.get(name) or ""
    bypass = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not found or _goes_straight(parts.hostname or "", port, bypass):
        return ""
    return found if "://" in found else f"http://{found}"


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _goes_straight(host: str, port: int, bypass: str) -> bool:
    """Whether NO_PROXY names a host. Source: golang.org/x/net/http/httpproxy."""
    if is_local(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in (e.strip().lower() for e in bypass.split(",")):
        if entry == "*":
            return True
        name, _, wanted_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if not name or (wanted_port and wanted_port != str(port)):
            continue
        if address is not None:
            try:
                if address in ipaddress.ip_network(name.strip("[]"), strict=False):
                    return True
            except ValueError:
                pass
        elif name.startswith((".", "*.")):
            if host.endswith(name.lstrip("*")):
                return True
        elif host == name or host.endswith(f".{name}"):
            return True
    return False
