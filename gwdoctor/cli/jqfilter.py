"""`--jq`: what a jq program makes of the report, as `gh` and `jq -r` write it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gwdoctor.cli.mistakes import Mistake

#: Directives stand before everything else in a jq program.
_READS_FILES = re.compile(r"(\s|#[^\n]*\n)*(module|import|include)\b")


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
    lines = []
    with _interruptible(), _without_environment():
        try:
            for result in program.input_text(json.dumps(document)):
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


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a program that never ends: Python's own handler would wait for it."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # not the main thread, as in tests
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
