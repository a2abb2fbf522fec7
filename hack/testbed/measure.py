"""Runs a program and writes down what it took: a process of its own, and a small one.

The kernel counts to a new process, as its peak, the memory of the one that started it. So this file,
run with a bare `python -S`, stands between the benchmark and what it measures.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: How often a run that is watched is looked at. A look costs its memory map a walk (about a
#: millisecond for 200 MB), so runs that are timed are not watched.
EVERY = 0.02


class Cost(NamedTuple):
    """What a whole process took, with its children."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    """The most memory of its largest process, as the kernel counts it (`ru_maxrss`)."""
    exit_code: int
    tree_peak_bytes: int = 0
    """The most memory of all of its processes at one time, what they share counted once (PSS):
    the most that was seen. 0 where nobody watched, or there is no /proc."""


def main() -> None:
    """`measure.py FILE EVERY COMMAND...`: run the command, write its cost to the file as JSON.

    EVERY says after how many seconds its memory is looked at anew; 0 is never.
    """
    file, every, *command = sys.argv[1:]
    start = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ)
    watcher = _Watcher(child, float(every))
    watcher.start()
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - start
    watcher.ended.set()
    watcher.join()
    # Linux counts in kilobytes, macOS in bytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cost = Cost(
        seconds,
        usage.ru_utime + usage.ru_stime,
        peak,
        os.waitstatus_to_exitcode(status),
        watcher.most,
    )
    with open(file, "w") as out:
        json.dump(cost, out)


class _Watcher(threading.Thread):
    """Looks at a process and its descendants every so often."""

    def __init__(self, process: int, every: float) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.most = 0
        self._process = process
        self._every = every

    def run(self) -> None:
        while self._every and not self.ended.wait(self._every):
            self.most = max(self.most, sum(map(_memory, _tree(self._process))))


def _tree(process: int) -> Iterator[int]:
    """A process and all that it, and they, have started."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _tree(int(child))


def _memory(process: int) -> int:
    """The proportional set size: a page that three processes share counts a third in each."""
    for line in _read(Path(f"/proc/{process}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it has ended meanwhile, or this is no Linux
        return ""


if __name__ == "__main__":
    main()
