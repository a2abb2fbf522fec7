"""hack/bench: how fast a scan is, and how much memory it needs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed import bench, shapes
from testbed.bench import Comparison
from testbed.cache import Unavailable
from testbed.commands.cluster import run_folder
from testbed.controlplane import ControlPlane
from testbed.measure import Cost


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    if arguments.shapes is not None:
        _shapes(arguments.shapes or list(shapes.SHAPES), arguments.json)
        return
    gwdoctor = str(Path(sys.executable).with_name("gwdoctor"))
    scan = [gwdoctor, "scan", "--all-namespaces", "-o", "json", "--timeout", "600s"]
    control_plane = ControlPlane.attach(run_folder())
    if not control_plane:
        sys.exit("hack/bench: no control plane runs: hack/cluster up, then hack/fleet")
    try:
        result = bench.compare(control_plane, arguments.command or scan, arguments.runs)
        others = (
            bench.others(control_plane, result.kinds, arguments.runs) if arguments.others else {}
        )
    except Unavailable as problem:
        sys.exit(f"hack/bench: {problem}")
    finally:
        control_plane.close()
    _tell(result, others)
    if arguments.json:
        told = {"scan": dataclasses.asdict(result) | {"ratio": result.ratio}, "others": others}
        arguments.json.write_text(json.dumps(told, indent=1))


def _tell(result: Comparison, others: bench.Others) -> None:
    print(
        f"{result.requests} requests, {result.connections} at a time, {result.size / 1e6:.1f} MB; "
        f"the first after {result.first_request:.2f} s\n"
        f"{'':26}{'seconds: median':>16}{'least':>8}{'most':>8}{'processor':>11}{'peak MB':>9}"
    )
    print(_line("plain download", result.floor))
    print(_line("gwdoctor", result.command))
    for name, costs in others.items():
        print(_line(name, costs))
    print(f"{result.ratio:.2f} times the plain download (median of {len(result.floor)} pairs)")
    for name, costs in others.items():
        print(f"{bench.times(costs, result.command):.1f} times as long: {name}")


def _shapes(names: Sequence[str], file: Path | None) -> None:
    unknown = sorted(set(names) - shapes.SHAPES.keys())
    if unknown:
        sys.exit(
            f"hack/bench: there is no shape {unknown[0]}; there are {', '.join(shapes.SHAPES)}"
        )
    print(f"{'':40}{'objects':>8}{'seconds: half':>15}{'whole':>7}{'times':>7}  slowest check")
    found = []
    for name in names:
        one = shapes.growth(name)
        found.append(dataclasses.asdict(one) | {"ratio": one.ratio})
        print(
            f"{name:40}{one.size:>8}{one.half_seconds:>15.2f}{one.seconds:>7.2f}{one.ratio:>7.2f}"
            f"  {one.slowest}",
            flush=True,
        )
    if file:
        file.write_text(json.dumps(found, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/bench",
        description="Time gwdoctor scan on the cluster of hack/cluster, in turns with a plain "
        "download of the same bytes. hack/fleet makes that cluster a large one.",
    )
    parser.add_argument("--runs", type=int, default=5, help="how many of each (default: 5)")
    parser.add_argument(
        "--others",
        action="store_true",
        help="time the kubernetes package's DynamicClient on the same kinds, too, and istioctl "
        "analyze and popeye where they are installed",
    )
    parser.add_argument(
        "--shapes",
        nargs="*",
        metavar="SHAPE",
        help="in place of all that: how the checks' time grows with clusters of awkward forms, in "
        "memory; 2 is linear, 4 quadratic",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "command", nargs="*", metavar="-- COMMAND", help="time this instead; it has KUBECONFIG"
    )
    return parser


def _line(name: str, costs: Sequence[Cost]) -> str:
    seconds = [cost.seconds for cost in costs]
    return (
        f"{name:26}{statistics.median(seconds):>16.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}"
        f"{statistics.median(cost.processor_seconds for cost in costs):>11.2f}"
        f"{max(cost.peak_bytes for cost in costs) / 1e6:>9.0f}"
    )
