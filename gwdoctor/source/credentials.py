"""What proves who we are: read when it is needed, and again when it has run out.

Order and rules as in client-go 0.36: rest/transport.go, transport/token_source.go and
plugin/pkg/client/auth/exec/exec.go.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from gwdoctor.source.access import Access
from gwdoctor.source.batch import NoCluster
from gwdoctor.source.kubeconfig import Exec

#: How long the content of a token file counts; the kubelet renews it every few minutes.
TOKEN_FILE_SECONDS = 50.0
_CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"


@dataclass(frozen=True, slots=True)
class Proof:
    """An Authorization header, or a client certificate with its key (both PEM), or both."""

    authorization: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    runs_out: float = float("inf")  #: time.time()


class Credentials:
    """The proof of one user. Safe to use from several threads."""

    def __init__(self, access: Access, *, time_left: Callable[[], float] = lambda: float("inf")):
        self._access = access
        self._time_left = time_left
        self._lock = threading.Lock()
        self._proof: Proof | None = None

    def proof(self) -> Proof:
        """What to show now; raises NoCluster where it cannot be had."""
        with self._lock:
            if self._proof is None or self._proof.runs_out <= time.time():
                self._proof = self._read()
            return self._proof

    def renewed(self, refused: Proof) -> bool:
        """Whether there is another proof than the one that the server has just refused."""
        with self._lock:
            if self._proof is refused:
                self._proof = self._read()
            return self._proof is not None and _differ(self._proof, refused)

    def impersonation(self) -> Iterator[tuple[str, str]]:
        """The headers that ask to be treated as somebody else. kubectl sends them on HTTP, too."""
        user = self._access.user
        if not user.as_user:
            return
        yield "Impersonate-User", _header(user.as_user)
        if user.as_uid:
            yield "Impersonate-Uid", _header(user.as_uid)
        for group in user.as_groups:
            yield "Impersonate-Group", _header(group)
        for key, values in user.as_user_extra.items():
            for value in values:
                name = quote(key, safe="!#$&'*+^`|")
                yield f"Impersonate-Extra-{name}", _header(value)

    def _read(self) -> Proof:
        access, user = self._access, self._access.user
        if not access.is_secure:
            return Proof()
        if user.token_file or user.token:
            token, runs_out = _token(access)
            return Proof(f"Bearer {token}", *_certificate(access), runs_out)
        if user.username or user.password:
            pair = f"{user.username}:{user.password}".encode()
            return Proof(f"Basic {base64.b64encode(pair).decode()}", *_certificate(access))
        certificate, key = _certificate(access)
        if certificate or user.exec is None:
            return Proof("", certificate, key)
        return _from_plugin(user.exec, access, self._time_left())


def _differ(first: Proof, second: Proof) -> bool:
    return (first.authorization, first.certificate) != (second.authorization, second.certificate)


def _header(text: str) -> str:
    """As http.client will send it: Latin-1 on its way, UTF-8 on the wire, as Go sends it."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise NoCluster("a user or group to impersonate holds a control character")
    return text.encode().decode("latin-1")


def _token(access: Access) -> tuple[str, float]:
    user, where = access.user, access.user_where
    token, runs_out = user.token, float("inf")
    if user.token_file:  # it beats a token that is given beside it, and only it is read again
        try:
            token = Path(user.token_file).read_text().strip()
            runs_out = time.time() + TOKEN_FILE_SECONDS
        except (OSError, UnicodeDecodeError) as error:
            if not token:
                reason = getattr(error, "strerror", None) or "is no text"
                raise NoCluster(f"{where}: tokenFile {user.token_file}: {reason}") from None
    if not token:
        raise NoCluster(f"{where}: tokenFile {user.token_file} is empty")
    if not token.isprintable() or not token.isascii():
        raise NoCluster(f"{where}: the token holds a character that no token has")
    return token, runs_out


def _certificate(access: Access) -> tuple[str, str]:
    user, where = access.user, access.user_where
    return (
        _pem(user.client_certificate, user.client_certificate_data, where, "client-certificate"),
        _pem(user.client_key, user.client_key_data, where, "client-key"),
    )


def _pem(path: str, data: str, where: str, name: str) -> str:
    try:
        if data:
            return decoded(data, where, f"{name}-data").decode()
        return Path(path).read_text() if path else ""
    except OSError as error:
        raise NoCluster(f"{where}: {name} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NoCluster(f"{where}: {name} is no PEM") from None


def decoded(data: str, where: str, name: str) -> bytes:
    """The bytes of a field that stands in base64."""
    try:
        return base64.b64decode(data.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise NoCluster(f"{where}: {name} is not valid base64") from None


# --- exec plugins ------------------------------------------------------------------------


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _Status | None = None


def _from_plugin(plugin: Exec, access: Access, time_left: float) -> Proof:
    where = f"{access.user_where}: exec plugin {plugin.command}"
    output = _run(plugin, access, where, time_left)
    try:
        answer = msgspec.json.decode(output, type=_ExecCredential)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoCluster(f"{where}: printed no ExecCredential") from None  # it may hold a token
    if answer.kind != "ExecCredential" or answer.api_version != plugin.api_version:
        raise NoCluster(
            f"{where}: is configured for an ExecCredential of {plugin.api_version}, and printed"
            f" {visible(answer.kind or 'no kind')} of {visible(answer.api_version or 'no version')}"
        )
    status = answer.status
    if status is None or not (status.token or status.client_certificate_data):
        raise NoCluster(f"{where}: printed neither a token nor a certificate")
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise NoCluster(f"{where}: printed a certificate or a key, but not both")
    token = status.token or ""
    if not token.isprintable() or not token.isascii():
        raise NoCluster(f"{where}: printed a token with a character that no token has")
    return Proof(
        f"Bearer {token}" if token else "",
        status.client_certificate_data or "",
        status.client_key_data or "",
        _moment(status.expiration_timestamp, where),
    )


def _run(plugin: Exec, access: Access, where: str, time_left: float) -> bytes:
    if shutil.which(plugin.command) is None:
        hint = f"\n{visible(plugin.install_hint.strip())}" if plugin.install_hint else ""
        raise NoCluster(f"{where}: there is no such program, or it may not be run{hint}")
    interactive = _interactive(plugin, where)
    environment = dict(os.environ)
    environment.update({variable.name: variable.value for variable in plugin.env})
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(_exec_info(plugin, access, interactive))
    try:
        done = subprocess.run(
            [plugin.command, *plugin.args],
            env=environment,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # stderr is the plugin's way to talk to the user
            # a little before the deadline, so that it is ended while we still can
            timeout=None if time_left == float("inf") else max(time_left - 0.3, 0.1),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoCluster(f"{where}: had not answered when the deadline of the run came") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NoCluster(f"{where}: cannot be run: {reason}") from None
    if done.returncode:
        raise NoCluster(f"{where}: failed with exit code {done.returncode}")
    return done.stdout


def _interactive(plugin: Exec, where: str) -> bool:
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive_mode == "Always" and not terminal:
        raise NoCluster(f"{where}: has to ask a question, and standard input is no terminal")
    return terminal and plugin.interactive_mode != "Never"


def _exec_info(plugin: Exec, access: Access, interactive: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.provide_cluster_info:
        spec["cluster"] = _cluster_info(access)
    return {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}


def _cluster_info(access: Access) -> dict[str, Any]:
    cluster = access.cluster
    authority = authority_of(access)
    config = [e.extension for e in cluster.extensions if e.name == _CLUSTER_EXTENSION]
    info = {
        "server": access.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(authority).decode(),
        "proxy-url": cluster.proxy_url,
        "disable-compression": cluster.disable_compression,
    }
    given = {key: value for key, value in info.items() if value}
    return {**given, "config": config[0] if config else None}


def authority_of(access: Access) -> bytes:
    """The certificates of the authority that the server is checked against; empty: the system's."""
    cluster, where = access.cluster, access.cluster_where
    if cluster.certificate_authority_data:
        data = cluster.certificate_authority_data
        return decoded(data, where, "certificate-authority-data")
    if cluster.certificate_authority:
        try:
            return Path(cluster.certificate_authority).read_bytes()
        except OSError as error:
            path = cluster.certificate_authority
            raise NoCluster(f"{where}: certificate-authority {path}: {error.strerror}") from None
    return b""


def _moment(text: str | None, where: str) -> float:
    if not text:
        return float("inf")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise NoCluster(f"{where}: printed an expirationTimestamp that is no time") from None
    expiry = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    return max(expiry, time.time() + 10)  # a clock that is wrong must not run it on each request


def visible(text: str) -> str:
    """Text from elsewhere without anything that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"U+{ord(c):04X}" for c in text)
