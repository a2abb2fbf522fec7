"""What a run spends its time and memory on, phase by phase (`--timings`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping


class Phases:
    """Laps of one run, from the moment that it was made."""

    def __init__(self) -> None:
        self._laps: list[tuple[str, float, float]] = []
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What was done since the last lap."""
        now = time.perf_counter()
        self._laps.append((name, now - self._last, _peak()))
        self._last = now

    def lines(self, checks: Mapping[str, float]) -> Iterator[str]:
        """Seconds and peak memory of each phase, then the seconds of each check, slowest first."""
        for name, seconds, peak in self._laps:
            yield f"{seconds:8.3f} s  {peak:5.0f} MB  {name}"
        for check, seconds in sorted(checks.items(), key=lambda item: -item[1]):
            yield f"{seconds:8.3f} s            {check}"


def _peak() -> float:
    """The most memory that this process had so far, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    # Linux counts in kilobytes, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1_000_000 if sys.platform == "darwin" else 1_000
    )
