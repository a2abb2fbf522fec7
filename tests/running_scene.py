"""Scenes that run: their Pods on kwok's node, with logs that a test wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scenes
import yaml
from testbed import ControlPlane
from testbed.client import Manifest

from gwdoctor import kinds

Report = dict[str, Any]
#: Namespace, Pod and container, and its lines.
Logs = Mapping[tuple[str, str, str], list[str]]


def load(
    control_plane: ControlPlane, node: str, document: str, state: str, *more: Manifest
) -> None:
    """Apply a scene; its Pods run on this node."""
    apply(control_plane, node, [*scenes.manifests(document, state), *more])


def apply(control_plane: ControlPlane, node: str, manifests: list[Manifest]) -> None:
    """Apply objects; Pods run on this node."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            manifest["spec"]["nodeName"] = node
    control_plane.apply(yaml.safe_dump_all(manifests), status=True)
    eventually(
        lambda: all(
            pod.get("status", {}).get("phase") == "Running"
            for pod in control_plane.items("v1", "Pod")
        ),
        "all pods run",
    )


def reads_everything(user: str, *more: Manifest, without: tuple[str, ...] = ()) -> list[Manifest]:
    """The rights that a scan without flags needs but for some kinds, and these rules, for a user."""
    group = "rbac.authorization.k8s.io"
    groups: dict[str, list[str]] = {}
    for kind, reading in kinds.READINGS.items():
        if kind not in kinds.OURS and reading.plural not in without:
            groups.setdefault(kind.group, []).append(reading.plural)
    rules = [
        {"apiGroups": [name], "resources": plurals, "verbs": ["get", "list"]}
        for name, plurals in groups.items()
    ]
    role: Manifest = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "reads-everything"},
        "rules": [*rules, *more],
    }
    binding: Manifest = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "reads-everything"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reads-everything"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    return [role, binding]


def eventually(look: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, f"not yet: {what}"
        time.sleep(0.1)


def write_logs(control_plane: ControlPlane, folder: Path, logs: Logs) -> None:
    """Let these containers have logged these lines, a moment ago."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    for (namespace, pod, container), lines in logs.items():
        file = folder / f"{namespace}-{pod}-{container}.log"
        file.write_text("".join(f"{now} stdout F {line}\n" for line in lines))
        serve_log(control_plane, file, namespace, pod, container)


def serve_log(
    control_plane: ControlPlane, file: Path, namespace: str, pod: str, container: str
) -> None:
    """Let a file, in the form of the container runtime, be the log of a container."""
    control_plane.apply(
        [
            {
                "apiVersion": "kwok.x-k8s.io/v1alpha1",
                "kind": "ClusterLogs",
                "metadata": {"name": f"{namespace}-{pod}"},
                "spec": {
                    "selector": {"matchNamespaces": [namespace], "matchNames": [pod]},
                    "logs": [{"containers": [container], "logsFile": str(file)}],
                },
            }
        ]
    )


def scan(control_plane: ControlPlane, *more: str, expected: tuple[int, ...] = (0, 1)) -> Report:
    """The report of a scan of all namespaces."""
    return scan_as(control_plane.kubeconfig, *more, expected=expected)


def scan_as(kubeconfig: Path, *more: str, expected: tuple[int, ...] = (0, 1)) -> Report:
    """The same with another kubeconfig."""
    command = [sys.executable, "-m", "gwdoctor", "scan", "-A", "-o", "json", "--timeout", "120s"]
    done = subprocess.run(
        [*command, "--kubeconfig", str(kubeconfig), *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in expected, (done.returncode, done.stderr, done.stdout[-3000:])
    report: Report = json.loads(done.stdout)
    return report


def finding(report: Report, check: str) -> dict[str, Any]:
    """The only finding of a check."""
    (found,) = [each for each in report["findings"] if each["check"] == check]
    return dict(found)
