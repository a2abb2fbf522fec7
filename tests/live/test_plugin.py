"""kubectl gwdoctor on the real API server: scanning, and names of the cluster as one types."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import BROKEN, CHECK, program
from testbed import Cluster, ControlPlane

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")


def kubectl(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["kubectl", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        timeout=60,
        check=False,
    )


def port(server: socket.socket) -> int:
    number: int = server.getsockname()[1]
    return number


def completed(*words: str | Path, **environment: str) -> list[str]:
    """What kubectl offers after these words of the plugin."""
    done = kubectl("__complete", "gwdoctor", *words, **environment)
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_namespaces_are_completed_for_the_cluster_that_was_typed(
    cluster: Cluster, namespace: str
) -> None:
    flag = f"--kubeconfig={cluster.kubeconfig}"

    assert completed("scan", flag, "-n", namespace[:-1]) == [namespace, ":4"]
    assert completed("scan", "-n", namespace, KUBECONFIG=str(cluster.kubeconfig)) == [
        namespace,
        ":4",
    ]
    assert {"default", "kube-system"} <= set(completed("snapshot", flag, "--namespace="))
    assert completed("scan", flag, "-n", f"default,{namespace}") == [f"default,{namespace}", ":4"]


def test_contexts_are_completed(cluster: Cluster) -> None:
    shown = kubectl("config", "get-contexts", "-o", "name", KUBECONFIG=str(cluster.kubeconfig))
    contexts = sorted(shown.stdout.split())

    assert contexts
    assert completed("scan", "--context", "", KUBECONFIG=str(cluster.kubeconfig)) == [
        *contexts,
        ":4",
    ]


def test_who_may_not_list_namespaces_is_offered_none(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.kubeconfig_of("alice")

    assert completed("scan", "--kubeconfig", kubeconfig, "-n", "") == [":4"]


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_one_waits_at_a_key(
    cluster: Cluster,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody accepts
        flags = (f"--kubeconfig={cluster.kubeconfig}", f"-s=https://127.0.0.1:{port(silent)}")
        began = time.monotonic()
        done = program("__complete", "scan", *flags, "-n", "")
        took = time.monotonic() - began

    assert (done.code, done.out, done.err) == (0, ":4\n", "")
    assert 1 < took < 8


def test_the_plugin_scans_as_the_flags_after_its_name_say(cluster: Cluster, namespace: str) -> None:
    cluster.apply(BROKEN.replace("namespace: infra", f"namespace: {namespace}"))
    flags = ("--kubeconfig", cluster.kubeconfig, "--request-timeout=20s")

    found = kubectl("gwdoctor", "scan", "-n", namespace, *flags, "--select", CHECK)
    none = kubectl("gwdoctor", "scan", "-n", "default", *flags, "--select", CHECK)
    wrong = kubectl("gwdoctor", "scan", *flags, "--context", "no-such-context")

    assert (found.returncode, none.returncode, wrong.returncode) == (1, 0, 4)
    assert f"EnvoyFilter {namespace}/misdirected" in found.stdout
    assert wrong.stderr.startswith("gwdoctor: context 'no-such-context' does not exist")
