"""`--jq`: what a jq program makes of the report, as `gh` and `jq -r` write it.

The program runs in a process of its own: one that never ends, takes all memory or makes the library
crash is a mistake of the user's, told in a line, and not the end of gwdoctor.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gwdoctor.cli.mistakes import Mistake

#: So long a program may take, and so many bytes of memory.
SECONDS = 60.0
MOST_MEMORY = 4 << 30
#: Directives stand before everything else in a jq program.
_READS_FILES = re.compile(r"(\s|#[^\n]*\n)*(module|import|include)\b")
_PIECE = 1 << 20


def compiled(expression: str) -> Any:
    """The program; a Mistake where it is none, or where it would read other files."""
    import jq

    if _READS_FILES.match(expression):
        raise Mistake("--jq: import and include are not allowed: it sees the report alone")
    try:
        with _without_environment():  # a program takes $ENV with it when it is made
            return jq.compile(expression)
    except ValueError as error:
        raise Mistake(f"--jq: {_told(error)}") from None


def filtered(program: Any, document: Any) -> str:
    """A line for each result: strings as they are, everything else as compact JSON."""
    text = json.dumps(document)
    if not hasattr(os, "fork"):  # Windows: no limits there, and Ctrl-C is left
        with _without_environment():
            return _lines(program, text)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child takes no lock of a thread
        child = os.fork()
    if child == 0:
        _run(program, text, writer)
    os.close(writer)
    ended = False
    try:
        answer = _read(reader, time.monotonic() + SECONDS)
        ended = answer is not None
    finally:
        os.close(reader)
        if not ended:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if answer is None:
        raise Mistake(f"--jq: the program did not end within {SECONDS:.0f} s")
    if not answer:
        raise Mistake(
            f"--jq: the program made jq break off: it takes more than {MOST_MEMORY >> 30} GB of "
            "memory, or goes too deep"
        )
    result = answer[1:].decode("utf-8", "surrogatepass")
    if answer[:1] == _WRONG:
        raise Mistake(f"--jq: {result}")
    return result


#: The first byte of what the child says.
_RIGHT, _WRONG = b"+", b"-"


def _run(program: Any, text: str, writer: int) -> None:
    """The child: says how it went, and is gone."""
    import faulthandler
    import resource

    try:
        faulthandler.disable()  # where the library crashes, the parent says so
        for ending in (signal.SIGINT, signal.SIGTERM):  # a handler would wait for the library
            signal.signal(ending, signal.SIG_DFL)
        os.environ.clear()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)  # the library's last words
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        try:
            said = _RIGHT + _lines(program, text).encode("utf-8", "surrogatepass")
        except Mistake as mistake:
            said = _WRONG + str(mistake).removeprefix("--jq: ").encode("utf-8", "surrogatepass")
        with open(writer, "wb") as file:
            file.write(said)
    finally:
        os._exit(0)


def _read(reader: int, end: float) -> bytes | None:
    """All that comes; None where it is not over in time."""
    pieces: list[bytes] = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return None
        piece = os.read(reader, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _lines(program: Any, text: str) -> str:
    lines = []
    try:
        for result in program.input_text(text):
            is_text = isinstance(result, str)
            lines.append(result if is_text else json.dumps(result, separators=(",", ":")))
    except ValueError as error:
        raise Mistake(f"--jq: {_told(error)}") from None
    return "".join(f"{line}\n" for line in lines)


def _told(error: ValueError) -> str:
    text = " ".join(str(error).split())
    return text.removeprefix("jq: ").removeprefix("error: ")


@contextmanager
def _without_environment() -> Iterator[None]:
    """`env` and `$ENV` are empty: tokens that lie there have no business in a report."""
    kept = dict(os.environ)
    os.environ.clear()
    try:
        yield
    finally:
        os.environ.update(kept)
