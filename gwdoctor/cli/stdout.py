"""Standard output: bytes, written whole, whatever the encoding of the terminal."""

from __future__ import annotations

import os
import select
import shutil
import sys


class ReaderGone(Exception):
    """Whoever read our output has closed the pipe. (No OSError: typer would answer it with 1.)"""


def is_terminal() -> bool:
    """Whether a person reads it."""
    return sys.stdout is not None and sys.stdout.isatty()


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def wants_color(when: str) -> bool:
    """--color, NO_COLOR (set and not empty) and TERM=dumb, in this order."""
    if when != "auto":
        return when == "always"
    dumb = os.environ.get("TERM", "") == "dumb"
    return is_terminal() and not os.environ.get("NO_COLOR") and not dumb


def write(text: str) -> None:
    """Text to stdout; what its encoding does not have is escaped. Raises ReaderGone."""
    if sys.stdout is not None:  # None: closed by whoever started us
        write_bytes(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Bytes to stdout, all of them. Raises ReaderGone.

    `sys.stdout.buffer` does not promise that: under PYTHONUNBUFFERED it writes what a pipe takes
    at once and drops the rest, and it gives up where stdout is set to not block.
    """
    if sys.stdout is None:
        return
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # somebody put something else there, as tests do
        sys.stdout.buffer.write(data)
        return
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except BrokenPipeError:
            raise ReaderGone from None
