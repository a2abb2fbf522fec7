"""Real shells in tests: somebody sits at a terminal, types, presses tab and enter."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

PROMPT = "ready> "
#: gwdoctor answers the shell, and otherwise tells what it was called with.
TELL = """\
gwdoctor() {
    if [ "$1" = __complete ]; then command gwdoctor "$@"; return; fi
    printf ran; printf '<%s>' "$@"; echo .
}
"""


def typed(
    command: list[str], keys: str, *, environment: Mapping[str, str], cwd: Path, ends: str = ">."
) -> list[str]:
    """The words that gwdoctor was called with after these keys were pressed at a prompt."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={"TERM": "xterm", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        _until(ours, PROMPT)
        os.write(ours, keys.encode())
        screen = _until(ours, ends)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    (called,) = re.findall(r"ran((?:<[^>]*>)+)\.", screen)
    return re.findall(r"<([^>]*)>", called)


def _until(terminal: int, ends: str) -> str:
    screen = ""
    give_up = time.monotonic() + 30
    while ends not in screen:
        left = give_up - time.monotonic()
        assert select.select([terminal], [], [], max(left, 0))[0], f"waited in vain: {screen}"
        screen += os.read(terminal, 65536).decode(errors="replace")
    return screen
