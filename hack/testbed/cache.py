"""The cache folder: built once per machine, never seen half finished, safe for several processes."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Unavailable(Exception):
    """Something that the test bed needs is not to be had; the message says what one can do."""


def folder() -> Path:
    """`$XDG_CACHE_HOME/gwdoctor`, by default `~/.cache/gwdoctor`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "gwdoctor"


def machine() -> str:
    """Operating system and processor as Go spells them: `linux-amd64`."""
    processor = platform.machine().lower()
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{platform.system().lower()}-{names.get(processor, processor)}"


def say(message: str) -> None:
    """Talk goes to stderr: stdout belongs to what a script prints as its result."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` as a lock against every other process; the kernel lets go when we die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that holds {path.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; where it is missing, `fill` makes it, in one process only."""
    place = folder() / name
    if place.is_dir():
        return place
    with locked(folder() / f"{name}.lock"):
        if place.is_dir():
            return place
        # A rename within one file system is all or nothing: whoever sees the folder sees all of it.
        part = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder()))
        try:
            fill(part)
            part.chmod(0o755)
            part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return place
