"""hack/bench: how fast a scan is, and how much memory it needs."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from testbed import figures, fleet, growth, shapes, sizes
from testbed.cache import Unavailable
from testbed.cluster import Refused
from testbed.commands.cluster import run_folder
from testbed.controlplane import ControlPlane
from testbed.figures import Figures
from testbed.measure import Cost
from testbed.sizes import Measured

SCAN = ("scan", "--all-namespaces", "-o", "json", "--timeout", "600s")


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    try:
        then = figures.read(arguments.against) if arguments.against else {}
        found, details = (
            _sizes(arguments)
            if arguments.shapes is None
            else _shapes(arguments.shapes or list(shapes.SHAPES), arguments.scale)
        )
    except (Unavailable, Refused) as problem:
        sys.exit(f"hack/bench: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
    if arguments.json:
        figures.write(arguments.json, found, details)
    if then:
        print(*figures.compared(then, found), sep="\n")


def _sizes(arguments: argparse.Namespace) -> tuple[Figures, dict[str, object]]:
    gwdoctor = str(Path(sys.executable).with_name("gwdoctor"))
    done: list[Measured] = []
    with _control_plane(own=bool(arguments.sizes)) as control_plane:
        for one in sizes.measured(
            control_plane,
            arguments.command or [gwdoctor, *SCAN],
            runs=arguments.runs,
            others=arguments.others,
            sizes=arguments.sizes,
        ):
            _tell(one)
            done.append(one)
    grown = sizes.growth(done)
    for name, value in grown.items():
        print(f"{value:8.2f}  {name}")
    found = {
        f"{one.objects} objects: {name}" if one.objects else name: value
        for one in done
        for name, value in one.figures().items()
    }
    return found | grown, {"sizes": [dataclasses.asdict(one) for one in done]}


@contextmanager
def _control_plane(*, own: bool) -> Iterator[ControlPlane]:
    """One that ends with the benchmark, or the one of hack/cluster with what is in it."""
    if own:
        with ControlPlane.start() as control_plane:
            yield control_plane
        return
    running = ControlPlane.attach(run_folder())
    if not running:
        raise Unavailable(
            "no control plane runs: hack/cluster up, then hack/fleet; or give --sizes"
        )
    with closing(running):
        yield running


def _tell(one: Measured) -> None:
    scan = one.scan
    if one.objects:
        print(f"--- {one.objects} objects")
    print(
        f"{scan.requests} requests, {scan.connections} at a time, {scan.size / 1e6:.1f} MB; "
        f"the first after {scan.first_request:.2f} s\n"
        f"{'':26}{'seconds: median':>16}{'least':>8}{'most':>8}{'processor':>11}{'peak MB':>9}"
    )
    print(_line("plain download", scan.floor))
    print(_line("gwdoctor", scan.command))
    for name, costs in one.others.items():
        print(_line(name, costs))
    print(f"{scan.ratio:.2f} times the plain download (median of {len(scan.floor)} pairs)")
    for name in one.others:
        print(f"{one.figures()[f'{name}: times gwdoctor']:.1f} times as long: {name}")
    _tell_account(one)


def _tell_account(one: Measured) -> None:
    cost, phases = one.account.cost, one.account.phases
    print(
        f"watched: {cost.tree_peak_bytes / 1e6:.0f} MB of all its processes together (PSS), "
        f"{cost.peak_bytes / 1e6:.0f} MB of the largest (RSS)"
    )
    for name, phase in phases.items():
        share = phase.seconds / cost.seconds
        print(f"{phase.seconds:8.2f} s {share:5.0%}{phase.megabytes:7.0f} MB  {name}")
    if "share of index and checks" in one.figures():
        print(f"index and checks take {one.account.share_of_checks:.0%} of the run", flush=True)


def _shapes(names: Sequence[str], scale: float) -> tuple[Figures, dict[str, object]]:
    unknown = sorted(set(names) - shapes.SHAPES.keys())
    if unknown:
        raise Unavailable(f"there is no shape {unknown[0]}; there are {', '.join(shapes.SHAPES)}")
    print(
        f"{'':40}{'size':>8}{'seconds: half':>15}{'whole':>7}{'times':>7}  what grows most, times"
    )
    found: Figures = {}
    details = []
    for name in names:
        size = max(4, int(shapes.SHAPES[name][1] * scale))
        one = growth.growth(name, size)
        steepest = one.steepest
        told = f"{steepest} {one.part(steepest).ratio:.1f}" if steepest else ""
        print(
            f"{name:40}{size:>8}{one.all.half:>15.2f}{one.all.whole:>7.2f}{one.all.ratio:>7.2f}"
            f"  {told}",
            flush=True,
        )
        found[f"{name} of {size}: seconds"] = one.all.whole
        found[f"{name} of {size}: growth"] = one.all.ratio
        if steepest:
            found[f"{name} of {size}: growth at most"] = one.part(steepest).ratio
        details.append(dataclasses.asdict(one))
    return found, {"shapes": details}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/bench",
        description="Time gwdoctor scan, in turns with a plain download of the same bytes, on the "
        "cluster of hack/cluster as it is, or on fleets of given sizes.",
    )
    parser.add_argument("--runs", type=int, default=5, help="how many of each (default: 5)")
    parser.add_argument(
        "--sizes",
        type=_numbers,
        default=(),
        metavar="N,N...",
        help="start a control plane for this, fill it with fleets of so many objects "
        f"(16400,82000,164000; {fleet.OBJECTS} in a namespace), and say how the costs grow",
    )
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
        help="in place of all that: how the time of checks, map, rendering, a proof and `why` "
        "grows with clusters of awkward forms, in memory; 2 is linear, 4 quadratic",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="X",
        help="make the shapes so many times their usual size (0.1 for a quick look)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="compare with a file of --json, figure by figure",
    )
    parser.add_argument(
        "command", nargs="*", metavar="-- COMMAND", help="time this instead; it has KUBECONFIG"
    )
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    """Raises ValueError, which argparse tells."""
    numbers = tuple(int(part) for part in text.split(","))
    if min(numbers) < fleet.OBJECTS:
        raise argparse.ArgumentTypeError(f"a fleet has {fleet.OBJECTS} objects at least")
    return numbers


def _line(name: str, costs: Sequence[Cost]) -> str:
    seconds = [cost.seconds for cost in costs]
    return (
        f"{name:26}{statistics.median(seconds):>16.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}"
        f"{statistics.median(cost.processor_seconds for cost in costs):>11.2f}"
        f"{max(map(sizes.memory, costs)) / 1e6:>9.0f}"
    )
