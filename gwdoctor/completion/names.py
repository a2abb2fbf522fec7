"""Names to complete: checks, what a kubeconfig holds, and the namespaces of a cluster."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: How long somebody waits for namespaces who has pressed a key.
SECONDS = 1.5
#: Options that say which cluster, as whom; kubectl takes them as they are.
CONNECTION = frozenset(
    {
        "--as",
        "--as-group",
        "--as-uid",
        "--certificate-authority",
        "--client-certificate",
        "--client-key",
        "--cluster",
        "--context",
        "--insecure-skip-tls-verify",
        "--kubeconfig",
        "--server",
        "--tls-server-name",
        "--token",
        "--user",
    }
)


# --- checks, from the names of their files -----------------------------------------------------


def families() -> Iterator[str]:
    """The families of the catalogue."""
    from gwdoctor import checks

    return (_spelled(name) for name in _modules(checks.__path__))


def checks(family: str) -> Iterator[str]:
    """The checks of a family."""
    from gwdoctor import checks

    folder = family.replace("-", "_")
    paths = [os.path.join(path, folder) for path in checks.__path__]
    return (f"{family}/{_spelled(name)}" for name in _modules(paths))


def _modules(paths: Iterable[str]) -> Iterator[str]:
    return (m.name for m in pkgutil.iter_modules(paths) if not m.name.startswith("_"))


def _spelled(name: str) -> str:
    return name.replace("_", "-")


# --- kubeconfig ------------------------------------------------------------------------------


def of_kubeconfig(what: str, options: Mapping[str, str]) -> list[str]:
    """The names of its `contexts`, `clusters` or `users`; of files that can be read."""
    found: dict[str, None] = {}
    for path in _kubeconfigs(options):
        entries = _loaded(path).get(what)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                found[entry["name"]] = None
    return sorted(found)


def _kubeconfigs(options: Mapping[str, str]) -> list[str]:
    """Where kubectl would look; `~` as the shell will write it out."""
    if "--kubeconfig" in options:
        return [os.path.expanduser(options["--kubeconfig"])]
    if listed := os.environ.get("KUBECONFIG"):
        return [path for path in listed.split(os.pathsep) if path]
    return [os.path.expanduser("~/.kube/config")]


def _loaded(path: str) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with open(path, encoding="utf-8-sig") as file:
            whole = yaml.load(file, loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return whole if isinstance(whole, dict) else {}


# --- the cluster -------------------------------------------------------------------------------


def namespaces(options: Iterable[tuple[str, str]]) -> list[str]:
    """The namespaces of the cluster, by one request of kubectl; none where that does not work.

    kubectl starts in a fifth of the time that our own client needs, and knows how to log in.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return []
    flags = [_flag(name, value) for name, value in options if name in CONNECTION]
    timeout = f"--request-timeout={SECONDS:g}s"
    answer = _output(
        [kubectl, "get", "--raw", "/api/v1/namespaces?limit=500", timeout, *flags], SECONDS
    )
    items = json.loads(answer).get("items", ()) if answer else ()
    return sorted(item["metadata"]["name"] for item in items)


def _flag(name: str, value: str) -> str:
    if name == "--kubeconfig":
        value = os.path.expanduser(value)
    return f"{name}={value}" if value else name


def _output(command: list[str], seconds: float) -> bytes:
    """What a command prints; nothing where it fails or takes longer.

    It has no terminal: a plugin of kubectl that wants to ask for a password must not ask here.
    """
    import signal
    import subprocess

    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=nowhere, stdout=subprocess.PIPE, stderr=nowhere, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return b""
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return out if process.returncode == 0 else b""
