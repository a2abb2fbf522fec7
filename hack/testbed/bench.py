"""What a scan costs, next to what it costs to download the same bytes and do nothing with them.

Both are whole processes, from start to end, and they take turns: whatever else the machine does
meanwhile happens to both.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gwdoctor.checks
from testbed import measure
from testbed.cache import Unavailable, say
from testbed.controlplane import ControlPlane
from testbed.faultrules import Exchange
from testbed.faults import FaultProxy
from testbed.measure import Cost

HACK = Path(__file__).parents[1]
#: What people run instead, where it is installed.
PEERS = (["istioctl", "analyze", "--all-namespaces"], ["popeye", "-A"])
Others = dict[str, tuple[Cost, ...]]
#: A line of `gwdoctor scan --timings`: seconds, memory now (not told everywhere) and at most, phase.
_PHASE = re.compile(r"^gwdoctor: +([\d.]+) s +(?:(\d+) MB +)?(\d+) MB  (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Phase:
    """A part of a scan, by its own account."""

    seconds: float
    megabytes: float
    """What the process held at its end; what it had held at most, where that is not told."""


@dataclass(frozen=True)
class Account:
    """One run that was watched: its memory, and what it says of its phases."""

    cost: Cost
    phases: dict[str, Phase]

    @property
    def share_of_checks(self) -> float:
        """Which part of the whole run the index and the checks take."""
        looked = sum(self.phases[name].seconds for name in ("index", "check"))
        return looked / self.cost.seconds


@dataclass(frozen=True)
class Comparison:
    """What was read, and the cost of each run of either program."""

    requests: int
    connections: int
    size: int
    """Bytes of all answers."""
    first_request: float
    """Seconds from the start of the process to the first request."""
    kinds: tuple[tuple[str, str], ...]
    """What was listed: group/version and plural."""
    floor: tuple[Cost, ...]
    command: tuple[Cost, ...]

    @property
    def ratio(self) -> float:
        """How many times the floor the command takes: the median of neighbouring runs."""
        return times(self.command, self.floor)


def times(command: Sequence[Cost], other: Sequence[Cost]) -> float:
    """How many times as long one took as the other: the median of neighbouring runs."""
    pairs = zip(command, other, strict=True)
    return statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)


def compare(control_plane: ControlPlane, command: Sequence[str], runs: int) -> Comparison:
    """Run `command`, with KUBECONFIG set, and the plain download of what it reads, in turns."""
    _compile()
    exchanges, started = _recorded(control_plane, command)
    floor, ours = [], []
    with tempfile.TemporaryDirectory(prefix="gwdoctor-bench-") as folder:
        order = Path(folder) / "requests.json"
        order.write_text(json.dumps(_order(control_plane, exchanges)))
        order.chmod(0o600)
        download = [sys.executable, "-m", "testbed.download", str(order)]
        for number in range(runs):
            say(f"  run {number + 1} of {runs}")
            floor.append(cost_of(download, {"PYTHONPATH": str(HACK)}, ok=(0,)))
            ours.append(cost_of(command, {"KUBECONFIG": str(control_plane.kubeconfig)}))
    return Comparison(
        requests=len(exchanges),
        connections=_most_at_a_time(exchanges),
        size=sum(each.size for each in exchanges),
        first_request=min(each.start for each in exchanges) - started,
        kinds=_kinds(exchanges),
        floor=tuple(floor),
        command=tuple(ours),
    )


def _compile() -> None:
    """Write bytecode, as pip does when it installs, and nobody where the sources are edited."""
    for package in (gwdoctor, gwdoctor.checks):
        for folder in package.__path__:
            compileall.compile_dir(folder, quiet=1)


def others(control_plane: ControlPlane, kinds: Sequence[tuple[str, str]], runs: int) -> Others:
    """The dynamic client of the `kubernetes` package on the same kinds, and peers that are on PATH."""
    environment = {"KUBECONFIG": str(control_plane.kubeconfig), "PYTHONPATH": str(HACK)}
    with tempfile.TemporaryDirectory(prefix="gwdoctor-bench-") as folder:
        file = Path(folder) / "kinds.json"
        file.write_text(json.dumps(kinds))
        commands = {
            "kubernetes DynamicClient": [sys.executable, "-m", "testbed.dynamic", str(file)]
        }
        commands |= {" ".join(peer): peer for peer in PEERS if shutil.which(peer[0])}
        return {
            name: tuple(cost_of(command, environment, ok=range(256)) for _ in range(runs))
            for name, command in commands.items()
        }


def watched(control_plane: ControlPlane, command: Sequence[str]) -> Account:
    """Run `command` once more, with --timings if it is gwdoctor scan, and look at its memory."""
    timings = ["--timings"] if command[1:2] == ["scan"] else []
    environment = {"KUBECONFIG": str(control_plane.kubeconfig)}
    with tempfile.TemporaryFile("w+") as told:
        cost = cost_of([*command, *timings], environment, every=measure.EVERY, stderr=told.fileno())
        told.seek(0)
        phases = {
            name: Phase(float(seconds), float(now or most))
            for seconds, now, most, name in _PHASE.findall(told.read())
        }
    return Account(cost, phases)


def _kinds(exchanges: Iterable[Exchange]) -> tuple[tuple[str, str], ...]:
    """Of paths like /api/v1/pods and /apis/GROUP/VERSION/PLURAL, each once."""
    found: dict[tuple[str, str], None] = {}
    for each in exchanges:
        match each.path.strip("/").split("/"):
            case ["api", version, plural]:
                found[version, plural] = None
            case ["apis", group, version, plural]:
                found[f"{group}/{version}", plural] = None
    return tuple(found)


def _recorded(control_plane: ControlPlane, command: Sequence[str]) -> tuple[list[Exchange], float]:
    """What the command asks the server for, and when it was started."""
    with FaultProxy(control_plane, count_items=False).start() as proxy:
        started = time.monotonic()
        cost_of(command, {"KUBECONFIG": str(proxy.kubeconfig())})
        exchanges = [each for each in proxy.requests if (each.method, each.status) == ("GET", 200)]
    if not exchanges:
        raise Unavailable(f"{' '.join(command)} asked the server for nothing")
    return exchanges, started


def _order(control_plane: ControlPlane, exchanges: Iterable[Exchange]) -> dict[str, object]:
    login = {"Authorization": f"Bearer {control_plane.token()}"}
    return {
        "ca_file": str(control_plane.ca_file),
        "connections": _most_at_a_time(exchanges),
        "requests": [
            (f"{control_plane.server}{each.target}", {**each.headers, **login})
            for each in exchanges
        ],
    }


def _most_at_a_time(exchanges: Iterable[Exchange]) -> int:
    """How many requests were under way together when it was most."""
    events = [(each.start, 1) for each in exchanges] + [(each.end, -1) for each in exchanges]
    most = now = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most


def cost_of(
    command: Sequence[str],
    environment: dict[str, str],
    *,
    ok: Sequence[int] = (0, 1),
    every: float = 0,
    stderr: int | None = None,
) -> Cost:
    """The cost of one run, watched every so many seconds; code 1 is a scan that found something."""
    if not shutil.which(command[0]):
        raise Unavailable(f"there is no program {command[0]}")
    with tempfile.TemporaryDirectory(prefix="gwdoctor-cost-") as folder:
        result = Path(folder) / "cost.json"
        subprocess.run(
            [sys.executable, "-S", measure.__file__, str(result), str(every), *command],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            check=True,
        )
        cost = Cost(*json.loads(result.read_text()))
    if cost.exit_code not in ok:
        raise Unavailable(f"{' '.join(command)} ended with code {cost.exit_code}")
    return cost
