"""A real control plane for the tests in this folder, one for each worker of the test run.

With `--kubeconfig` the tests that ask for `cluster` or `namespace` use that cluster; those that ask for
`control_plane` want it for themselves, and are skipped.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import reading_scene as scene
from testbed import Cluster, ControlPlane, FaultProxy, envoy_gateway, kubeconfig, kwok
from testbed.cache import folder, locked
from testbed.cluster import PREFIX

from gwdoctor.source import connection


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane of our own, with whatever the tests before have left in it; no controllers."""
    if request.config.getoption("kubeconfig"):
        pytest.skip("wants a control plane of its own: run it without --kubeconfig")
    # The first start on a machine builds for minutes and says so; nobody should wait in silence.
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        started = ControlPlane.start()
    with started:
        yield started


@pytest.fixture(scope="module")
def filled(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with the objects of `reading_scene` in it, and nothing else."""
    control_plane.forget()
    control_plane.apply(scene.manifests())
    yield control_plane
    control_plane.forget()


@pytest.fixture
def proxy(filled: ControlPlane) -> Iterator[FaultProxy]:
    """What makes faults, before it."""
    with FaultProxy(filled).start() as started:
        yield started


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of tries, in less time."""
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.02, 0.03))


@pytest.fixture
def empty_control_plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with nothing in it, before the test and after it."""
    control_plane.reset()
    yield control_plane
    control_plane.reset()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster that `--kubeconfig` names, or else our control plane."""
    if not (path := request.config.getoption("kubeconfig")):
        yield request.getfixturevalue("control_plane")
        return
    theirs = kubeconfig.connect(Path(path).expanduser().resolve())
    yield theirs
    theirs.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace, deleted after the test."""
    name = f"{PREFIX}{secrets.token_hex(4)}"
    cluster.create_namespace(name)
    yield name
    cluster.delete_namespaces([name])


@pytest.fixture(scope="module")
def kwok_node(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a node on which pods become ready; kwok plays the kubelet."""
    control_plane.reset()
    kwok.start(control_plane)
    yield kwok.NODE
    control_plane.end(kwok.NAME)
    control_plane.forget()


@pytest.fixture(scope="module")
def real_envoy_gateway(control_plane: ControlPlane) -> Iterator[str]:
    """The controller name of a real Envoy Gateway that watches our control plane."""
    with locked(folder() / "envoy-gateway-ports.lock"):
        control_plane.reset()
        envoy_gateway.start(control_plane)
        yield envoy_gateway.CONTROLLER
        control_plane.end(envoy_gateway.NAME)
        control_plane.forget()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What became of the fixes (test_closure.py), counted; with -v each that does not simply hold."""
    told = [
        str(value)
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
        for key, value in report.user_properties
        if key == "closure"
    ]
    if not told:
        return
    counts = Counter(line.partition(": ")[0] for line in told)
    summary = ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())
    terminalreporter.write_line(f"fixes on the API server: {summary}")
    if terminalreporter.config.get_verbosity() > 0:
        for line in sorted(told):
            if not line.startswith("hold: "):
                terminalreporter.write_line(f"  {line}")
