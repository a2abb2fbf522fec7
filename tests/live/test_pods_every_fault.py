"""Every fault on what is asked of single Pods: their logs, and ports through the API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import running_scene as running
from manyfaults import FAULTS, PATIENCE, SLOW, somewhere_else
from reading_scene import reader
from testbed import ControlPlane, FaultProxy

from gwdoctor.source import connection, probing
from gwdoctor.source.connection import CutOff, Trouble
from gwdoctor.source.podlogs import Container, Limits
from gwdoctor.source.probing import Target

ALWAYS = None
HARMED = Container("kong", "kong-gateway-7d9f", "proxy")
OTHER = Container("kong", "kong-controller-5c6b", "ingress-controller")
LINES = 200
LOGS = "/api/v1/namespaces/kong/pods"
#: A log is no JSON: what else may stand in it, nobody knows.
TEXT = {"corrupt", "half of a JSON", "nothing", "null", "an object of nothing", "a Status"}
TEXT |= {"all of the wrong type"}


@pytest.fixture(scope="module")
def plane(
    control_plane: ControlPlane, kwok_node: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    control_plane.reset()
    running.load(control_plane, kwok_node, "000_kong_https_backend", "broken")
    folder: Path = tmp_path_factory.mktemp("logs")
    for container in (HARMED, OTHER):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        file = folder / container.pod
        file.write_text(f"{now} stdout F all is well\n" * LINES)
        running.serve_log(
            control_plane, file, *(container.namespace, container.pod, container.name)
        )
    running.eventually(
        lambda: all(
            b"all is well" in control_plane.client.request("GET", f"{LOGS}/{one.pod}/log").body
            for one in (HARMED, OTHER)
        ),
        "the logs of the test",
    )
    yield control_plane
    control_plane.reset()


@pytest.fixture(scope="module")
def only_proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane, count_items=False).start() as started:
        yield started


@pytest.fixture
def proxy(only_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.01))
    only_proxy.clear()
    return only_proxy


@pytest.mark.parametrize("fault", FAULTS)
def test_the_log_of_a_pod(proxy: FaultProxy, fault: str) -> None:
    limits = Limits(since=None, seconds=PATIENCE if fault in SLOW else 10)
    with reader(proxy.kubeconfig()) as live:
        FAULTS[fault](proxy, f"/pods/{HARMED.pod}/log", ALWAYS)
        found = dict(live.questions.logs([HARMED, OTHER], limits))

    other, harmed = found[OTHER], found[HARMED]
    assert isinstance(other, bytearray)
    assert other.count(b"all is well") == LINES
    if isinstance(harmed, bytearray):
        assert fault in TEXT
    else:
        assert str(harmed).isprintable()
        assert fault not in TEXT
    if fault in ("reset in mid body", "truncated", "endless", "a byte a second"):
        assert isinstance(harmed, CutOff)


def test_what_came_of_a_log_is_used_and_the_rest_is_missed(
    plane: ControlPlane, proxy: FaultProxy
) -> None:
    proxy.truncate_after(f"/pods/{HARMED.pod}/log", 3000, ALWAYS)

    report = running.scan_as(proxy.kubeconfig(), "--logs")

    (skip,) = report["not_checked"]
    assert skip["reason"] == "the log of a Pod was not read to its end: it broke off"
    assert skip["object"]["name"] == HARMED.pod


@pytest.mark.parametrize("fault", FAULTS)
def test_a_port_of_a_pod(proxy: FaultProxy, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SECONDS", 1.0)
    target = Target("", 9, "kong", HARMED.pod, "www.example.com")
    with reader(proxy.kubeconfig()) as live:
        FAULTS[fault](proxy, "/portforward", ALWAYS)
        started = time.monotonic()
        ((_, outcome),) = live.questions.probes([target], [])

    assert isinstance(outcome, Trouble)
    assert str(outcome).isprintable()
    assert time.monotonic() - started < 15


def test_credentials_are_not_sent_where_a_port_forward_is_redirected(proxy: FaultProxy) -> None:
    target = Target("", 9, "kong", HARMED.pod, "www.example.com")
    with somewhere_else() as (address, heard), reader(proxy.kubeconfig()) as live:
        proxy.fail("/portforward", 302, ALWAYS, headers={"Location": f"ws://{address}/x"}, body=b"")
        ((_, outcome),) = live.questions.probes([target], [])

    assert heard == []
    assert isinstance(outcome, Trouble)
