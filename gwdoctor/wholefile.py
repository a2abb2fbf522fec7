"""Files that are written whole or not at all: whoever reads them never meets a half."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def write(path: str, data: bytes, *, mode: int | None = None) -> None:
    """Put this into a file, in place of what was there; raises OSError.

    Pipes and devices are written to as they are. `mode` is that of the file afterwards: without
    it, the one that it had, and of a new file what the umask leaves.
    """
    if _is_special(path):
        Path(path).write_bytes(data)
        return
    path = os.path.realpath(path)
    if mode is None and os.path.exists(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
    handle, unfinished = _beside(path, 0o666 if mode is None else mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if mode is not None:
                os.chmod(unfinished, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a machine that stops now keeps the name and no bytes
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def refusal(path: str) -> str:
    """Why this file could not be written, as far as that can be told by trying; empty if it can."""
    if os.path.isdir(path):
        return "is a folder; name a file"
    if _is_special(path):
        return "" if os.access(path, os.W_OK) else "may not be written to"
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return "may not be written to"
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"the folder {folder} does not exist"
    try:
        handle, unfinished = _beside(path, 0o600)
    except OSError as error:
        return f"no file can be made in {folder}: {error.strerror}"
    os.close(handle)
    os.unlink(unfinished)
    return ""


def _is_special(path: str) -> bool:
    """Asked of the path as it was given: what /dev/fd/63 is a link to has no path of its own."""
    return os.path.exists(path) and not os.path.isfile(path)


def _beside(path: str, mode: int) -> tuple[int, str]:
    """A new file in the same folder; of its mode the system takes what the umask forbids."""
    unfinished = os.path.join(os.path.dirname(path), f".gwdoctor-{secrets.token_hex(8)}")
    return os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), unfinished
