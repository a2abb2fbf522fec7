"""hack/bench: how fast a scan is, and how much memory it needs."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed import bench
from testbed.cache import Unavailable
from testbed.commands.cluster import run_folder
from testbed.controlplane import ControlPlane
from testbed.measure import Cost


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    gwdoctor = str(Path(sys.executable).with_name("gwdoctor"))
    command = arguments.command or [
        gwdoctor,
        "scan",
        "--all-namespaces",
        "-o",
        "json",
        "--timeout",
        "600s",
    ]
    control_plane = ControlPlane.attach(run_folder())
    if not control_plane:
        sys.exit("hack/bench: no control plane runs: hack/cluster up, then hack/fleet")
    try:
        result = bench.compare(control_plane, command, arguments.runs)
    except Unavailable as problem:
        sys.exit(f"hack/bench: {problem}")
    finally:
        control_plane.close()
    print(
        f"{result.requests} requests, {result.connections} at a time, {result.size / 1e6:.1f} MB\n"
        f"{'':22}{'seconds: median':>16}{'least':>8}{'most':>8}{'processor':>11}{'peak MB':>9}"
    )
    print(_line("plain download", result.floor))
    print(_line(" ".join([Path(command[0]).name, *command[1:]])[:22], result.command))
    print(f"{result.ratio:.2f} times the plain download (median of {arguments.runs} pairs)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/bench",
        description="Time gwdoctor scan on the cluster of hack/cluster, in turns with a plain "
        "download of the same bytes. hack/fleet makes that cluster a large one.",
    )
    parser.add_argument("--runs", type=int, default=5, help="how many of each (default: 5)")
    parser.add_argument(
        "command", nargs="*", metavar="-- COMMAND", help="time this instead; it has KUBECONFIG"
    )
    return parser


def _line(name: str, costs: Sequence[Cost]) -> str:
    seconds = [cost.seconds for cost in costs]
    return (
        f"{name:22}{statistics.median(seconds):>16.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}"
        f"{statistics.median(cost.processor_seconds for cost in costs):>11.2f}"
        f"{max(cost.peak_bytes for cost in costs) / 1e6:>9.0f}"
    )
