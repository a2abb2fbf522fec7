"""Runs a program and writes down what it took: a process of its own, and a small one.

The kernel counts to a new process, as its peak, the memory of the one that started it. So this file,
run with a bare `python -S`, stands between the benchmark and what it measures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NamedTuple


class Cost(NamedTuple):
    """What a whole process took, with its children."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    exit_code: int


def main() -> None:
    """`measure.py FILE COMMAND...`: run the command, write its cost to the file as JSON."""
    file, *command = sys.argv[1:]
    start = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - start
    # Linux counts in kilobytes, macOS in bytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, peak, os.waitstatus_to_exitcode(status))
    with open(file, "w") as out:
        json.dump(cost, out)


if __name__ == "__main__":
    main()
