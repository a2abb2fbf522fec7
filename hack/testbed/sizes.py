"""The same benchmark on fleets of several sizes, and how its results grow from one to the next."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed import bench, fleet
from testbed.bench import Account, Comparison, Others
from testbed.cache import say
from testbed.controlplane import ControlPlane
from testbed.figures import Figures
from testbed.measure import Cost


@dataclass(frozen=True)
class Measured:
    """A cluster, and all that was found out about a scan of it."""

    objects: int  #: 0: whatever there was
    scan: Comparison
    account: Account
    others: Others

    def figures(self) -> Figures:
        """The numbers that a size is judged by."""
        scan, account = self.scan, self.account
        found = {
            "times the download": scan.ratio,
            "seconds": statistics.median(cost.seconds for cost in scan.command),
            "seconds of the processor": _processor(scan.command),
            "times the download, of the processor": _processor(scan.command)
            / _processor(scan.floor),
            "seconds to the first request": scan.first_request,
            "MB read": scan.size / 1e6,
            "requests": float(scan.requests),
            "MB at most": memory(account.cost) / 1e6,
        }
        if {"index", "check"} <= account.phases.keys():
            found["share of index and checks"] = account.share_of_checks
        for name, phase in account.phases.items():
            found[f"{name}: seconds"] = phase.seconds
            found[f"{name}: MB"] = phase.megabytes
        for name, costs in self.others.items():
            found[f"{name}: times gwdoctor"] = bench.times(costs, scan.command)
        return found


def memory(cost: Cost) -> int:
    """What a program needs at most: the more of what the kernel counted, and what was seen.

    The kernel counts one process; what is seen takes from a page its share with strangers.
    """
    return max(cost.peak_bytes, cost.tree_peak_bytes)


def measured(
    control_plane: ControlPlane,
    command: Sequence[str],
    *,
    runs: int,
    others: bool,
    sizes: Sequence[int] = (),
) -> Iterator[Measured]:
    """Let the fleet grow from size to size and measure each; without sizes, what is there."""
    for objects in sorted(sizes) or (0,):
        if objects:
            say(f"a fleet of {objects} objects")
            fleet.grow(control_plane, -(-objects // fleet.OBJECTS))
        scan = bench.compare(control_plane, command, runs)
        rivals = bench.others(control_plane, scan.kinds, runs) if others else {}
        yield Measured(objects, scan, bench.watched(control_plane, command), rivals)


def growth(sizes: Sequence[Measured]) -> Figures:
    """The ratio of the ratios to the download, of each size to the first: at most linear is 1."""
    if not sizes:
        return {}
    first, *later = sizes
    return {
        f"{first.objects} to {one.objects}: {what}": figures[what] / before[what]
        for before in (first.figures(),)
        for one in later
        for figures in (one.figures(),)
        for what in ("times the download", "times the download, of the processor", "MB at most")
    }


def _processor(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.processor_seconds for cost in costs)
