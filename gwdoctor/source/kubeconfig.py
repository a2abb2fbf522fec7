"""kubeconfig files: read, checked for their form, and merged as kubectl merges them.

Rules: client-go 0.36 tools/clientcmd, loader.go and merge.go. The first file that says something
wins, whole entries at a time; the Python client takes the last current-context.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from gwdoctor.source.batch import NoCluster

# --- the form ----------------------------------------------------------------------------


class _Form(msgspec.Struct, rename="kebab", omit_defaults=True, kw_only=True):
    """Unknown fields are ignored, anything of a wrong type is refused."""

    def __repr__(self) -> str:  # a token must not get into a log by accident
        return f"{type(self).__name__}(...)"


class Extension(_Form):
    """An entry of `extensions`."""

    name: str = ""
    extension: Any = None


class ClusterEntry(_Form):
    """clusters[].cluster"""

    server: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: list[Extension] = []


class Variable(_Form):
    """users[].user.exec.env[]"""

    name: str = ""
    value: str = ""


class Exec(_Form, rename="camel"):
    """users[].user.exec"""

    command: str = ""
    args: list[str] = []
    env: list[Variable] = []
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class UserEntry(_Form):
    """users[].user"""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    as_user: str = msgspec.field(name="as", default="")
    as_uid: str = ""
    as_groups: list[str] = []
    as_user_extra: dict[str, list[str]] = {}
    username: str = ""
    password: str = ""
    auth_provider: dict[str, Any] | None = None
    exec: Exec | None = None


class ContextEntry(_Form):
    """contexts[].context"""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(_Form):
    name: str = ""
    cluster: ClusterEntry = msgspec.field(default_factory=ClusterEntry)


class _NamedUser(_Form):
    name: str = ""
    user: UserEntry = msgspec.field(default_factory=UserEntry)


class _NamedContext(_Form):
    name: str = ""
    context: ContextEntry = msgspec.field(default_factory=ContextEntry)


class _File(_Form):
    kind: str = ""
    api_version: str = msgspec.field(name="apiVersion", default="")
    clusters: list[_NamedCluster] = []
    users: list[_NamedUser] = []
    contexts: list[_NamedContext] = []
    current_context: str = ""


E = TypeVar("E", ClusterEntry, UserEntry, ContextEntry)


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An entry and where it stands."""

    entry: E
    where: str


@dataclass(slots=True)
class Merged:
    """All files: the first that says something wins, whole entries at a time."""

    files: list[str] = field(default_factory=list)
    clusters: dict[str, Found[ClusterEntry]] = field(default_factory=dict)
    users: dict[str, Found[UserEntry]] = field(default_factory=dict)
    contexts: dict[str, Found[ContextEntry]] = field(default_factory=dict)
    current_context: str = ""


# --- reading -----------------------------------------------------------------------------


def load(explicit: str, environ: Mapping[str, str]) -> Merged:
    """The file that --kubeconfig names, or those of KUBECONFIG, or ~/.kube/config."""
    merged = Merged()
    for path in paths(explicit, environ):
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            if explicit:
                raise NoCluster(f"--kubeconfig {path}: there is no such file") from None
            continue  # as kubectl does: KUBECONFIG often names files that come and go
        except OSError as error:
            raise NoCluster(f"kubeconfig {path}: {error.strerror}") from None
        merged.files.append(path)
        _take(_parsed(content, path), path, merged)
    return merged


def paths(explicit: str, environ: Mapping[str, str]) -> list[str]:
    """Where to look."""
    if explicit:
        return [explicit]
    if environ.get("KUBECONFIG"):
        return [p for p in dict.fromkeys(environ["KUBECONFIG"].split(os.pathsep)) if p]
    return [os.path.join(environ["HOME"], ".kube", "config")] if environ.get("HOME") else []


def _parsed(content: bytes, path: str) -> _File:
    from gwdoctor.yamltext import reading as yamltext  # only a live scan needs it

    try:
        document = next(yamltext.documents(content.decode("utf-8-sig")), None)
    except UnicodeDecodeError:
        raise NoCluster(f"kubeconfig {path}: is no text") from None
    if isinstance(document, yamltext.YamlError):
        raise NoCluster(f"kubeconfig {path}, line {document.line}: {document}")
    plain = document.value if document else None
    if plain is None:
        return _File()
    try:
        file = msgspec.convert(_without_nulls(plain), _File)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`").lstrip(".") or "the file"
        raise NoCluster(f"kubeconfig {path}: {place}: {text}") from None
    if (file.kind or "Config", file.api_version or "v1") != ("Config", "v1"):
        raise NoCluster(f"kubeconfig {path}: is a {file.api_version} {file.kind}, not a v1 Config")
    return file


def _take(file: _File, path: str, merged: Merged) -> None:
    merged.current_context = merged.current_context or file.current_context
    base = os.path.dirname(os.path.abspath(path))
    for name, cluster, where in _named(file.clusters, "cluster", path):
        cluster.certificate_authority = absolute(cluster.certificate_authority, base)
        merged.clusters.setdefault(name, Found(cluster, where))
    for name, user, where in _named(file.users, "user", path):
        user.client_certificate = absolute(user.client_certificate, base)
        user.client_key = absolute(user.client_key, base)
        user.token_file = absolute(user.token_file, base)
        if user.exec is not None and os.sep in user.exec.command:  # else it is looked up on PATH
            user.exec.command = absolute(user.exec.command, base)
        merged.users.setdefault(name, Found(user, where))
    for name, context, where in _named(file.contexts, "context", path):
        merged.contexts.setdefault(name, Found(context, where))


def _named(entries: list[Any], key: str, path: str) -> Iterator[tuple[str, Any, str]]:
    """(name, entry, where it stands) of each entry of a list of this file."""
    seen: set[str] = set()
    for number, named in enumerate(entries):
        where = f"kubeconfig {path}: {key}s[{number}] ({named.name})"
        if named.name in seen:
            raise NoCluster(f"{where}: the name {named.name!r} stands there twice")
        seen.add(named.name)
        yield named.name, getattr(named, key), where


def _without_nulls(value: Any) -> Any:
    """Null is absent, as for kubectl."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def absolute(path: str, base: str) -> str:
    """A path that may be relative to a folder."""
    return os.path.normpath(os.path.join(base, path)) if path else path
