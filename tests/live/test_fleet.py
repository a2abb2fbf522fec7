"""The large cluster for benchmarks, in small; and the benchmark itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed import ControlPlane, bench, figures, fleet, growth, shapes, sizes
from testbed.cache import Unavailable
from testbed.client import Manifest
from testbed.etcd import Store
from testbed.measure import Cost

from gwdoctor.catalogue import catalogue

NAMESPACES = 2
GWDOCTOR = str(Path(sys.executable).with_name("gwdoctor"))
SCAN = [GWDOCTOR, "scan", "--all-namespaces", "-o", "json"]


def test_a_namespace_that_was_stamped_is_as_if_it_had_been_posted(
    control_plane: ControlPlane,
) -> None:
    """Every kind, every field, and every key in the store, but for moments, uids and revisions."""
    control_plane.reset()
    fleet.post(control_plane, [1])
    posted, keys = _all_of(control_plane, 1), _keys_of(control_plane, 1)
    control_plane.reset()
    fleet.grow(control_plane, 2)

    stamped = _all_of(control_plane, 1)

    assert len(stamped) == fleet.OBJECTS
    assert _keys_of(control_plane, 1) == keys
    for one, other in zip(stamped, posted, strict=True):
        assert _lasting(one) == _lasting(other)
    uids = {each["metadata"]["uid"] for each in (*stamped, *_all_of(control_plane, 0))}
    assert len(uids) == 2 * fleet.OBJECTS
    control_plane.reset()


@pytest.fixture(scope="module")
def loaded(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.reset()
    assert fleet.grow(control_plane, NAMESPACES) == 1 + NAMESPACES * fleet.OBJECTS
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


def test_what_was_stamped_can_be_written_like_anything_else(loaded: ControlPlane) -> None:
    pod = loaded.get("v1", "Pod", "backend-01-0", fleet.name(1))
    path = f"/api/v1/namespaces/{fleet.name(1)}/pods/backend-01-0"
    pod["metadata"]["labels"]["new"] = "yes"

    changed = loaded.request("PUT", path, pod)

    assert changed["metadata"]["uid"] == pod["metadata"]["uid"]
    assert int(changed["metadata"]["resourceVersion"]) > int(pod["metadata"]["resourceVersion"])


def _all_of(control_plane: ControlPlane, number: int) -> list[Manifest]:
    """Every object of a namespace of the fleet as the server has it, itself first."""
    kinds = {(each["apiVersion"], each["kind"]): None for each in fleet.objects(number)}
    found = [
        each
        for api_version, kind in kinds
        if kind != "Namespace"
        for each in control_plane.items(api_version, kind, fleet.name(number))
    ]
    if not found:
        return []
    return [control_plane.get("v1", "Namespace", fleet.name(number)), *found]


def _keys_of(control_plane: ControlPlane, number: int) -> list[bytes]:
    store = Store(control_plane.etcd_endpoints[0])
    addresses = {
        each["spec"]["clusterIP"] for each in fleet.objects(number) if each["kind"] == "Service"
    }
    marks = {fleet.name(number).encode(), *(each.encode() for each in addresses)}
    keys = store.keys()
    found = [key for key in keys if not marks.isdisjoint(key.split(b"/"))]
    store.close()
    return sorted(key for key in found if not key.startswith(b"/registry/events/"))


def _lasting(value: object) -> object:
    """Without what is new each time that an object is made.

    The server orders `managedFields` by the second in which each manager wrote last, so their
    order too depends on the moment.
    """
    passing = {"uid", "resourceVersion", "creationTimestamp", "time"}
    if isinstance(value, dict):
        return {
            key: _lasting(sorted(inside, key=_writer) if key == "managedFields" else inside)
            for key, inside in value.items()
            if key not in passing
        }
    if isinstance(value, list):
        return [_lasting(inside) for inside in value]
    return value


def _writer(entry: Manifest) -> tuple[str, str, str]:
    return entry["manager"], entry["operation"], entry.get("subresource", "")


def test_the_order_of_writers_does_not_last() -> None:
    first = {"manager": "a", "operation": "Update", "subresource": "status", "time": "1"}
    second = {"manager": "b", "operation": "Update", "time": "2"}

    assert _lasting({"managedFields": [first, second]}) == _lasting(
        {"managedFields": [second, first]}
    )
    assert _lasting({"managedFields": [first]}) != _lasting({"managedFields": [second]})


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


def test_the_benchmark_tells_memory_and_phases(loaded: ControlPlane) -> None:
    (one,) = sizes.measured(loaded, SCAN, runs=1, others=False)

    assert {"connect", "read", "index", "check", "write the report"} <= one.account.phases.keys()
    assert all(phase.megabytes > 10 for phase in one.account.phases.values())
    assert 0 < one.account.share_of_checks < 1
    assert 10_000_000 < one.account.cost.tree_peak_bytes < 500_000_000
    assert one.figures()["MB at most"] > 10


def test_growth_is_a_ratio_of_ratios() -> None:
    def measured(objects: int, ours: float) -> sizes.Measured:
        floor, scan = Cost(2.0, 1.0, 10**7, 0), Cost(ours, ours, 2 * 10**7, 0)
        compared = bench.Comparison(1, 1, 1, 0.1, (), (floor,), (scan,))
        return sizes.Measured(objects, compared, bench.Account(scan, {}), {})

    grown = sizes.growth([measured(164, 2.0), measured(328, 3.0)])

    assert grown["164 to 328: times the download"] == pytest.approx(1.5)
    assert grown["164 to 328: MB at most"] == pytest.approx(1.0)


def test_children_count_in_the_memory_of_a_watched_program() -> None:
    """Two that live at the same time need the memory of both, which the kernel does not add up."""
    hog = (
        "import subprocess, sys\n"
        "code = 'import time; held = bytearray(b\"x\") * 50_000_000; time.sleep(1)'\n"
        "both = [subprocess.Popen([sys.executable, '-S', '-c', code]) for _ in range(2)]\n"
        "[one.wait() for one in both]\n"
    )
    cost = bench.cost_of([sys.executable, "-c", hog], {}, every=0.02)

    assert 50e6 < cost.peak_bytes < 100e6
    assert cost.tree_peak_bytes > 100e6


def test_two_benchmarks_are_laid_side_by_side(tmp_path: Path) -> None:
    figures.write(tmp_path / "then.json", {"seconds": 2.0, "gone": 1.0}, {})

    lines = list(figures.compared(figures.read(tmp_path / "then.json"), {"seconds": 3.0}))

    assert any(line.split() == ["seconds", "2.000", "3.000", "+50%"] for line in lines)
    assert any(line.split() == ["gone", "1.000"] for line in lines)


def test_a_file_that_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")

    with pytest.raises(Unavailable, match="no file that hack/bench --json wrote"):
        figures.read(tmp_path / "x.json")


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_shape_of_the_benchmark_is_what_it_says(name: str) -> None:
    grown = growth.growth(name, 20)

    assert grown.size == 20
    assert grown.all.ratio > 0
    assert grown.slowest in catalogue()
