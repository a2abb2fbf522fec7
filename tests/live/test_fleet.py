"""The large cluster for benchmarks, in small; and the benchmark itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed import ControlPlane, bench, fleet, shapes
from testbed.cache import Unavailable
from testbed.client import Client

from gwdoctor.catalogue import catalogue

NAMESPACES = 2
GWDOCTOR = str(Path(sys.executable).with_name("gwdoctor"))
SCAN = [GWDOCTOR, "scan", "--all-namespaces", "-o", "json"]


@pytest.fixture(scope="module")
def loaded(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.reset()
    client = Client(
        control_plane.server,
        ca_file=control_plane.ca_file,
        token=control_plane.token(),
        connections=fleet.CONNECTIONS,
    )
    assert fleet.load(control_plane, client, NAMESPACES) == 1 + NAMESPACES * fleet.OBJECTS
    client.close()
    yield control_plane
    control_plane.reset()


def test_it_is_the_same_every_time() -> None:
    assert list(fleet.objects(7)) == list(fleet.objects(7))


def test_a_namespace_has_the_objects_it_promises() -> None:
    kinds = Counter(each["kind"] for each in fleet.objects(0))

    assert kinds.total() == fleet.OBJECTS
    assert kinds["Pod"] == 60
    assert kinds["Gateway"] == 2
    assert {kinds[each] for each in ("Service", "EndpointSlice", "VirtualService")} == {20}


def test_the_server_has_it_whole(loaded: ControlPlane) -> None:
    pods = loaded.items("v1", "Pod")

    assert len(pods) == NAMESPACES * 60
    writers = {entry["manager"] for entry in pods[0]["metadata"]["managedFields"]}
    assert writers == {"fleet", "kubelet"}
    assert pods[0]["status"]["phase"] == "Running"


def test_nothing_is_wrong_in_it(loaded: ControlPlane) -> None:
    done = subprocess.run(
        [*SCAN, "--kubeconfig", str(loaded.kubeconfig)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert report["summary"]["objects"] > NAMESPACES * 140


def test_the_benchmark_compares_a_scan_with_the_download_of_its_bytes(
    loaded: ControlPlane,
) -> None:
    result = bench.compare(loaded, SCAN, runs=1)

    assert result.requests > 10
    assert 1 <= result.connections <= 32
    assert result.size > 1_000_000
    assert result.ratio > 0
    assert 0 < result.first_request < 60
    assert {("v1", "pods"), ("gateway.networking.k8s.io/v1", "httproutes")} <= set(result.kinds)
    (dynamic,) = bench.others(loaded, result.kinds, 1)["kubernetes DynamicClient"]
    assert dynamic.exit_code == 0
    for cost in (*result.floor, *result.command):
        assert cost.seconds > 0
        assert cost.peak_bytes > 10_000_000


def test_the_benchmark_wants_a_command_that_reads(loaded: ControlPlane) -> None:
    with pytest.raises(Unavailable, match="asked the server for nothing"):
        bench.compare(loaded, [GWDOCTOR, "version"], runs=1)


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_shape_of_the_benchmark_is_what_it_says(name: str) -> None:
    grown = shapes.growth(name, 20)

    assert grown.size == 20
    assert grown.ratio > 0
    assert grown.slowest in catalogue()
