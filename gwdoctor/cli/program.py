"""How the user calls us, for usage lines and for commands that are to be typed."""

from __future__ import annotations

import re
import sys

#: `kubectl-gwdoctor`, also as Windows has it: with an ending, and where pip makes it a script.
_PLUGIN = re.compile(r"kubectl-([\w.-]+?)(-script\.pyw?|\.exe)?", re.IGNORECASE)


def name(path: str = "") -> str:
    """`kubectl gwdoctor` where kubectl started us as its plugin, else `gwdoctor`."""
    file = re.split(r"[/\\]", path or sys.argv[0])[-1]
    plugin = _PLUGIN.fullmatch(file)
    return f"kubectl {plugin[1].replace('_', '-')}" if plugin else "gwdoctor"
