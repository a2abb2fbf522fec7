"""Starts a script of this folder with a Python that has the project's packages."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

VENV = Path(__file__).resolve().parents[1] / ".venv"


def run(name: str) -> None:
    """Run `testbed.commands.NAME`, in the virtual environment of the checkout if there is one."""
    python = VENV / "bin" / "python"
    if python.exists() and Path(sys.prefix) != VENV:
        os.execv(python, [str(python), *sys.argv])
    try:
        command = importlib.import_module(f"testbed.commands.{name}")
    except ImportError as problem:
        sys.exit(f"{sys.argv[0]}: {problem}; `make check` makes a {VENV.name} that has it all")
    command.main()
