"""`scan --logs` where a log is forbidden, endless, enormous, binary, or does not come."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import running_scene as running
from testbed import ControlPlane, measure
from testbed.faults import FaultProxy

from gwdoctor.evidence import pod_logs, signatures
from gwdoctor.source.podlogs import MOST_BYTES

CHECK = "kong/upstream-protocol-missing"
LINE = (
    "2026/11/21 11:59:00 [error] 1#0: *9 readv() failed (104: Connection reset by peer) while "
    'reading upstream, client: 10.0.0.5, server: kong, request: "GET / HTTP/2.0", '
    'upstream: "http://10.0.0.20:9000/", host: "api.minio.example.com"'
)
ALWAYS = None


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane, kwok_node: str) -> Iterator[ControlPlane]:
    control_plane.reset()
    running.load(control_plane, kwok_node, "000_kong_https_backend", "broken")
    yield control_plane
    control_plane.reset()


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane).start() as started:
        yield started


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z stdout F ")


def log_of_kong(plane: ControlPlane, file: Path, *, lines: int = 1) -> None:
    running.serve_log(plane, file, "kong", "kong-gateway-7d9f", "proxy")
    path = f"/api/v1/namespaces/kong/pods/kong-gateway-7d9f/log?tailLines={lines}"
    running.eventually(
        lambda: LINE.encode() in plane.client.request("GET", path).body, "the log of the test"
    )


def test_403_is_not_checked_with_its_rule(plane: ControlPlane) -> None:
    plane.apply(running.reads_everything("alice"))

    report = running.scan(plane, "--logs", "--as", "alice")

    (rule,) = {str(skip["rbac"]) for skip in report["not_checked"]}
    assert rule == "{'apiGroups': [''], 'resources': ['pods/log'], 'verbs': ['get']}"
    assert {skip["object"]["name"] for skip in report["not_checked"]} == {
        "kong-gateway-7d9f",
        "kong-controller-5c6b",
    }
    assert running.finding(report, CHECK)["confidence"] == "likely"


def test_a_pod_that_never_answers_is_not_waited_for(proxy: FaultProxy) -> None:
    proxy.delay("pods/kong-gateway-7d9f/log", 60, ALWAYS)
    started = time.monotonic()

    report = running.scan_as(proxy.kubeconfig(), "--logs")

    assert time.monotonic() - started < 25
    (skip,) = [s for s in report["not_checked"] if s["object"]["name"] == "kong-gateway-7d9f"]
    assert "fell silent" in skip["reason"]
    assert running.finding(report, CHECK)["confidence"] == "likely"


def test_the_deadline_holds_for_logs(proxy: FaultProxy) -> None:
    proxy.delay("/log", 60, ALWAYS)
    started = time.monotonic()

    report = running.scan_as(proxy.kubeconfig(), "--logs", "--timeout", "8s", expected=(1, 3))

    assert time.monotonic() - started < 20
    assert any("deadline" in skip["reason"] for skip in report["not_checked"])
    assert running.finding(report, CHECK)["confidence"] == "likely"


def test_a_log_without_end_is_cut_off(proxy: FaultProxy) -> None:
    proxy.endless("pods/kong-gateway-7d9f/log", ALWAYS)

    running.scan_as(proxy.kubeconfig(), "--logs")

    assert proxy.bytes_served("pods/kong-gateway-7d9f/log") < 8 * MOST_BYTES


def test_a_log_that_drips_is_read_as_far_as_it_came(
    plane: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    log = tmp_path / "proxy.log"
    log.write_text(f"{stamp()}{LINE}\n" + f"{stamp()}nothing\n" * 5_000)
    log_of_kong(plane, log, lines=5_001)
    proxy.drip("pods/kong-gateway-7d9f/log", 2_000, ALWAYS)
    started = time.monotonic()

    report = running.scan_as(proxy.kubeconfig(), "--logs", "--log-lines", "9000")

    assert time.monotonic() - started < 25
    assert running.finding(report, CHECK)["confidence"] == "certain"


def test_of_200_megabytes_only_the_end_is_read(
    plane: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    log = tmp_path / "proxy.log"
    filler = f'{stamp()}10.0.0.9 - - "GET / HTTP/1.1" 200 {"x" * 160}\n'.encode() * 1000
    with log.open("wb") as file:
        while file.tell() < 200_000_000:
            file.write(filler)
        file.write(f"{stamp()}{LINE}\n".encode())
    log_of_kong(plane, log)

    cost = tmp_path / "cost.json"
    done = subprocess.run(
        [
            *(sys.executable, "-S", measure.__file__, str(cost), "0"),
            *(sys.executable, "-m", "gwdoctor", "scan", "-A", "-o", "json", "--logs"),
            *("--jq", f'.findings[] | select(.check == "{CHECK}") | .confidence'),
            *("--kubeconfig", str(proxy.kubeconfig())),
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "certain"
    assert proxy.bytes_served("pods/kong-gateway-7d9f/log") <= MOST_BYTES
    assert measure.Cost(*json.loads(cost.read_text())).peak_bytes < 200_000_000


def test_binary_bytes_harm_nothing(plane: ControlPlane, tmp_path: Path) -> None:
    log = tmp_path / "proxy.log"
    noise = bytes(range(256)) * 20
    lines = [noise.replace(b"\n", b"") + b"\n", b"\xff\xfe\x00\x1b[2J \xe2\x80\xae\n"]
    stamped = b"".join(stamp().encode() + line for line in lines * 50)
    log.write_bytes(stamped + f"{stamp()}{LINE}\n".encode())
    log_of_kong(plane, log)

    report = running.scan(plane, "--logs")

    found = running.finding(report, CHECK)
    assert found["confidence"] == "certain"
    assert all(each["text"].isprintable() for each in found["evidence"])


def test_hostile_lines_take_no_time() -> None:
    hostile = [
        b'[x] "' + b'" "' * 5_000,
        b"{" * 10_000,
        b'{"response_code":' + b"[" * 5_000,
        b"readv() failed (104: " + b"upstream " * 1_500,
        b"readv() failed (104: reset) upstream: " + b'upstream: "http://' * 500,
        b"token=" * 2_500,
        b'authorization: "' * 900,
        b"a" * 1_000_000,
    ]
    started = time.process_time()

    for kind in (signatures.KONG, signatures.GATEWAY, signatures.SIDECAR, signatures.CERT_MANAGER):
        pod_logs.lines(b"\n".join(hostile), kind)

    assert time.process_time() - started < 2
