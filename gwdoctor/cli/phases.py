"""What a run spends its time and memory on, phase by phase (`--timings`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gwdoctor.model import Kind
    from gwdoctor.source.batch import Batch, Source, Want

_STATM = "/proc/self/statm"


class Phases:
    """Laps of one run, from the moment that it was made; those of one name are one phase."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._memory: dict[str, str] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What was done since the last lap."""
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last
        self._memory[name] = f"{_resident()}{_peak():5.0f} MB"
        self._last = now

    def lines(self, checks: Mapping[str, float]) -> Iterator[str]:
        """Seconds of each phase, the memory of this process at its end (where the system tells it)
        and at most so far; then the seconds of each check, slowest first."""
        for name, seconds in self._seconds.items():
            yield f"{seconds:8.3f} s  {self._memory[name]}  {name}"
        for check, seconds in sorted(checks.items(), key=lambda item: -item[1]):
            yield f"{seconds:8.3f} s  {check}"


class Timed:
    """A source that tells the phases when it reads, so that the rest is known to be something else."""

    def __init__(self, source: Source, phases: Phases) -> None:
        self._source = source
        self._phases = phases

    def list(self, kinds: Iterable[Kind]) -> Batch:
        """As the source does it."""
        batch = self._source.list(kinds)
        self._phases.lap("read")
        return batch

    def fetch(self, wants: Iterable[Want]) -> Batch:
        """As the source does it; what came before was made of the batch before."""
        self._phases.lap("index")
        batch = self._source.fetch(wants)
        self._phases.lap("read")
        return batch


def _resident() -> str:
    """The memory that this process has now, where Linux tells it."""
    try:
        from resource import getpagesize

        with open(_STATM) as file:
            pages = int(file.read().split()[1])
    except (ImportError, OSError, IndexError, ValueError):
        return ""
    return f"{pages * getpagesize() / 1_000_000:5.0f} MB  "


def _peak() -> float:
    """The most memory that this process had so far, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    # Linux counts in kilobytes of 1024 bytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_000_000
