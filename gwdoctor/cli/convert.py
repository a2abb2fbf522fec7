"""`gwdoctor convert`: a saved report in other formats."""

from __future__ import annotations

import sys
from pathlib import Path

from gwdoctor.cli import outcome, values
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Output
from gwdoctor.cli.talk import Talk
from gwdoctor.cli.writing import Writer
from gwdoctor.model import Report
from gwdoctor.render.saved import BadReport, read


def run(path: str, output: Output) -> int:
    """The command; returns the exit code that the scan would have had. Raises Mistake."""
    fail_on = values.fail_on(output.fail_on)
    writer = Writer.of(output)
    report = _opened(path)
    end = outcome.of(report, fail_on)
    writer.write(report, end, Talk(output.verbosity))
    return end.code


def _opened(path: str) -> Report:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise Mistake(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return read(data)
    except BadReport as error:
        name = "standard input" if path == "-" else path
        raise Mistake(f"{name}: {error}") from None
