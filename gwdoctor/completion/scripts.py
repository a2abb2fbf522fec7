"""The scripts that make a shell ask us."""

from __future__ import annotations

import pkgutil

SHELLS = ["bash", "zsh", "fish", "kubectl"]


def script(shell: str, program: str) -> str:
    """The script for one of SHELLS; `program` is how we are started."""
    data = pkgutil.get_data("gwdoctor", f"data/completion/{shell}.sh") or b""
    return data.decode().replace("@PROGRAM@", program)
