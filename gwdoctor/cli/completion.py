"""`gwdoctor completion`: the script for a shell."""

from __future__ import annotations

from gwdoctor.cli import program, stdout, values
from gwdoctor.completion.scripts import SHELLS, script


def run(shell: str) -> int:
    """The command; returns the exit code."""
    stdout.write(script(values.one_of(shell, SHELLS, "completion"), program.name()))
    return 0
