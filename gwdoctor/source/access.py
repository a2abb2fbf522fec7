"""Which cluster, as which user, in which namespace: decided as kubectl decides it.

Rules: client-go 0.36 tools/clientcmd, client_config.go and validation.go. The Python client has
rules of its own (it ignores `as`, and goes on as nobody when an exec plugin is not installed), so
it is only handed the outcome. Two differences from kubectl, on purpose: a context that names a
cluster or user which no file holds is an error (kubectl tries localhost:8080, or goes on as
nobody), and impersonation also works inside a Pod.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gwdoctor.source import kubeconfig
from gwdoctor.source.batch import NoCluster
from gwdoctor.source.kubeconfig import ClusterEntry, ContextEntry, Exec, Merged, UserEntry

#: Where a Pod finds the credentials of its ServiceAccount.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """kubectl's connection flags; empty means not given."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    server: str = ""
    token: str = field(default="", repr=False)
    tls_server_name: str = ""
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure_skip_tls_verify: bool = False
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    disable_compression: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One cluster and one user. Paths are absolute; `where` says which text to correct."""

    server: str
    namespace: str
    context: str = ""
    cluster_name: str = ""
    user_name: str = ""
    cluster: ClusterEntry = field(repr=False)
    user: UserEntry = field(repr=False)
    cluster_where: str = ""
    user_where: str = ""

    @property
    def is_secure(self) -> bool:
        """Whether credentials may be sent: kubectl sends none over plain HTTP."""
        return self.server.startswith("https://")


def resolve(
    flags: Flags,
    *,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """The cluster and user that kubectl would take with these flags; raises NoCluster."""
    environ = os.environ if environ is None else environ
    merged = kubeconfig.load(flags.kubeconfig, environ)
    context_name = flags.context or merged.current_context
    context = ContextEntry()
    if context_name:
        if context_name not in merged.contexts:
            raise NoCluster(_no_such("context", context_name, merged.contexts, merged.files))
        context = merged.contexts[context_name].entry
    cluster_name = flags.cluster or context.cluster
    user_name = flags.user or context.user
    cluster, cluster_where = _cluster(cluster_name, context_name, flags, merged)
    user, user_where = _user(user_name, context_name, flags, merged)
    namespace = context.namespace
    if not cluster.server and not cluster_name:
        if not in_a_pod(environ, service_account):
            raise NoCluster(_nothing_found(flags, environ, merged))
        cluster, user = _of_the_pod(cluster, user, environ, service_account)
        context_name = context_name or "in-cluster"
        cluster_where = user_where = f"the ServiceAccount of this Pod ({service_account})"
    if not namespace:
        namespace = _namespace_of_the_pod(environ, service_account) or "default"
    access = Access(
        server=_address(cluster.server, cluster_where),
        namespace=namespace,
        context=context_name,
        cluster_name=cluster_name,
        user_name=user_name,
        cluster=cluster,
        user=user,
        cluster_where=cluster_where,
        user_where=user_where,
    )
    _confirm_cluster(access)
    _confirm_user(access)
    return access


# --- choosing ----------------------------------------------------------------------------


def _cluster(name: str, context: str, flags: Flags, merged: Merged) -> tuple[ClusterEntry, str]:
    found = merged.clusters.get(name)
    if found is None and (flags.cluster or (name and not flags.server)):
        raise NoCluster(_no_such("cluster", name, merged.clusters, merged.files, context))
    cluster = ClusterEntry() if found is None else found.entry
    if flags.insecure_skip_tls_verify or flags.certificate_authority:
        cluster.insecure_skip_tls_verify = flags.insecure_skip_tls_verify
        cluster.certificate_authority = kubeconfig.absolute(
            flags.certificate_authority, os.getcwd()
        )
        cluster.certificate_authority_data = ""
    if flags.tls_server_name or flags.server:  # the name of another server does not carry over
        cluster.tls_server_name = flags.tls_server_name
    if flags.disable_compression:
        cluster.disable_compression = True
    cluster.server = flags.server or cluster.server
    where = f"--server {flags.server}" if flags.server else found.where if found else ""
    return cluster, where


def _user(name: str, context: str, flags: Flags, merged: Merged) -> tuple[UserEntry, str]:
    found = merged.users.get(name)
    given = flags.token or flags.client_certificate
    if found is None and (flags.user or (name and not given)):
        raise NoCluster(_no_such("user", name, merged.users, merged.files, context))
    user = UserEntry() if found is None else found.entry
    user.token = flags.token or user.token
    if flags.client_certificate:
        user.client_certificate = kubeconfig.absolute(flags.client_certificate, os.getcwd())
        user.client_certificate_data = ""
    if flags.client_key:
        user.client_key = kubeconfig.absolute(flags.client_key, os.getcwd())
        user.client_key_data = ""
    user.as_user = flags.as_user or user.as_user
    user.as_uid = flags.as_uid or user.as_uid
    user.as_groups = list(flags.as_groups) or user.as_groups
    return user, found.where if found else "the command line"


def _no_such(
    what: str, name: str, known: Mapping[str, object], files: list[str], context: str = ""
) -> str:
    source = " and ".join(files) if files else "no kubeconfig (there is none)"
    of = f" of context {context!r}" if context else ""
    names = f"; there is {', '.join(sorted(known))}" if known else ""
    return f"{what} {name!r}{of} does not exist in {source}{names}"


def _nothing_found(flags: Flags, environ: Mapping[str, str], merged: Merged) -> str:
    if merged.contexts:
        names = ", ".join(sorted(merged.contexts))
        return (
            f"{' and '.join(merged.files)}: no current-context is set and no --context is given;"
            f" there is {names}"
        )
    looked = ", ".join(kubeconfig.paths(flags.kubeconfig, environ)) or "~/.kube/config"
    return f"no kubeconfig found (looked at {looked}), no --server given, and this is no Pod"


# --- inside a Pod ------------------------------------------------------------------------


def in_a_pod(environ: Mapping[str, str], service_account: Path) -> bool:
    """Whether there is a ServiceAccount to fall back on."""
    return bool(
        environ.get("KUBERNETES_SERVICE_HOST")
        and environ.get("KUBERNETES_SERVICE_PORT")
        and (service_account / "token").is_file()
    )


def _of_the_pod(
    cluster: ClusterEntry, user: UserEntry, environ: Mapping[str, str], service_account: Path
) -> tuple[ClusterEntry, UserEntry]:
    host = environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    cluster.server = f"https://{host}:{environ['KUBERNETES_SERVICE_PORT']}"
    authority = service_account / "ca.crt"
    if not cluster.certificate_authority and authority.is_file():
        cluster.certificate_authority = str(authority)
    if not user.token:
        user.token_file = str(service_account / "token")
    return cluster, user


def _namespace_of_the_pod(environ: Mapping[str, str], service_account: Path) -> str:
    if not in_a_pod(environ, service_account):
        return ""
    try:
        written = (service_account / "namespace").read_text().strip()
    except (OSError, UnicodeDecodeError):
        written = ""
    return environ.get("POD_NAMESPACE") or written


# --- what kubectl refuses ----------------------------------------------------------------


def _address(server: str, where: str) -> str:
    """The URL of the server: HTTP where no scheme is given, as kubectl has it."""
    if "://" not in server:
        server = f"http://{server}"
    try:
        parts = urlsplit(server)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise NoCluster(f"{where}: server {server!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoCluster(f"{where}: server {server!r} is not the URL of an API server")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _confirm_cluster(access: Access) -> None:
    cluster, where = access.cluster, access.cluster_where
    if cluster.certificate_authority and cluster.certificate_authority_data:
        raise NoCluster(
            f"{where}: both certificate-authority and certificate-authority-data are given"
        )
    if cluster.insecure_skip_tls_verify and access.is_secure:
        for key in ("certificate_authority", "certificate_authority_data"):
            if getattr(cluster, key):
                name = key.replace("_", "-")
                raise NoCluster(f"{where}: insecure-skip-tls-verify is true beside a {name}")
    if cluster.proxy_url and cluster.proxy_url.partition("://")[0] not in _PROXIES:
        raise NoCluster(
            f"{where}: proxy-url {cluster.proxy_url!r} does not begin with http://, https:// or"
            " socks5://"
        )
    _readable(cluster.certificate_authority, where, "certificate-authority")


_PROXIES = ("http", "https", "socks5")
_INTERACTIVE = ("Never", "IfAvailable", "Always")
EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)


def _confirm_user(access: Access) -> None:
    user, where = access.user, access.user_where
    if user.token and (user.username or user.password):
        raise NoCluster(f"{where}: both token and username/password are given")
    if (user.as_uid or user.as_groups or user.as_user_extra) and not user.as_user:
        raise NoCluster(f"{where}: as-uid, as-groups or as-user-extra without `as` (--as)")
    if user.client_certificate or user.client_certificate_data:
        for one in ("client_certificate", "client_key"):
            name = one.replace("_", "-")
            if getattr(user, one) and getattr(user, f"{one}_data"):
                raise NoCluster(f"{where}: both {name} and {name}-data are given")
        if not (user.client_key or user.client_key_data):
            raise NoCluster(f"{where}: client-certificate needs a client-key, and there is none")
        _readable(user.client_certificate, where, "client-certificate")
        _readable(user.client_key, where, "client-key")
    if user.auth_provider is not None and access.is_secure:
        raise NoCluster(
            f"{where}: auth-provider {user.auth_provider.get('name', '')!r} was taken out of"
            " Kubernetes in 1.26; an exec plugin has to take its place"
        )
    if user.exec is not None:
        _confirm_exec(user.exec, f"{where}: exec")


def _confirm_exec(plugin: Exec, where: str) -> None:
    if not plugin.command:
        raise NoCluster(f"{where}.command is missing")
    if plugin.api_version not in EXEC_VERSIONS:
        raise NoCluster(
            f"{where}.apiVersion is {plugin.api_version!r}; known are {' and '.join(EXEC_VERSIONS)}"
        )
    if not plugin.interactive_mode and plugin.api_version.endswith("v1beta1"):
        plugin.interactive_mode = "IfAvailable"
    if plugin.interactive_mode not in _INTERACTIVE:
        raise NoCluster(
            f"{where}.interactiveMode is {plugin.interactive_mode!r}; it has to be one of"
            f" {', '.join(_INTERACTIVE)}"
        )
    if any(not variable.name for variable in plugin.env):
        raise NoCluster(f"{where}.env has an entry without a name")


def _readable(path: str, where: str, name: str) -> None:
    if not path:
        return
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise NoCluster(f"{where}: {name} {path}: {error.strerror}") from None
