"""How the user calls us, for usage lines and for commands that are to be typed."""

from __future__ import annotations

import sys
from pathlib import Path


def name(path: str = "") -> str:
    """`kubectl gwdoctor` where kubectl started us as its plugin, else `gwdoctor`."""
    called = Path(path or sys.argv[0]).name.removesuffix(".exe")
    if called.startswith("kubectl-"):
        return f"kubectl {called.removeprefix('kubectl-').replace('_', '-')}"
    return "gwdoctor"
