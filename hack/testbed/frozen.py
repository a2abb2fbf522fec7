"""gwdoctor as an archive that needs no Python: a folder that PyInstaller fills, one per platform."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from gwdoctor.version import __version__
from testbed.cache import Unavailable, folder, machine, once, say

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "hack" / "gwdoctor.spec"
START = ROOT / "hack" / "frozen_start.py"
LOCKS = (ROOT / "hack" / "constraints.txt", ROOT / "hack" / "constraints-freeze.txt")
PROGRAM = "gwdoctor/kubectl-gwdoctor"
"""The program in the archive."""


def archive() -> Path:
    """The archive of this checkout, from the cache if it was built before."""
    inputs = [*LOCKS, SPEC, START, Path(__file__), ROOT / "LICENSE", ROOT / "pyproject.toml"]
    sources = (*_files(ROOT / "gwdoctor"), *_files(ROOT / "checks"))
    place = once(f"frozen-{_digest([*inputs, *sources])}", _freeze)
    return place / f"gwdoctor-{__version__}-{machine()}.tar.gz"


def _freeze(place: Path) -> None:
    """Install this checkout beside its locked dependencies, freeze it, pack it."""
    _forget_old_ones()
    python = once(f"freezer-{_digest(LOCKS)}", _install_tools) / "bin" / "python"
    say(f"freezing gwdoctor {__version__} (half a minute) ...")
    installed, built = place / "installed", place / "built"
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    _run(*pip, "--no-deps", "--no-build-isolation", "--target", installed, ROOT, cwd=place)
    pyinstaller = (python, "-m", "PyInstaller", "--log-level=ERROR", "--workpath", place / "work")
    _run(*pyinstaller, "--distpath", built, SPEC, cwd=place, PYTHONPATH=str(installed))
    shutil.copy(ROOT / "LICENSE", built / "gwdoctor")
    _pack(built, place / f"gwdoctor-{__version__}-{machine()}.tar.gz")
    for part in (installed, built, place / "work", place / "settings"):
        shutil.rmtree(part, ignore_errors=True)


def _forget_old_ones() -> None:
    """Archives of a week ago: each change of the source makes one."""
    for old in folder().glob("frozen-*"):
        if old.stat().st_mtime < time.time() - 7 * 86400:
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def _install_tools(place: Path) -> None:
    """An environment with what gwdoctor needs and PyInstaller, and nothing that tests need."""
    say("installing what freezes gwdoctor (a minute) ...")
    _run(sys.executable, "-m", "venv", place, cwd=place)
    locks = [word for lock in LOCKS for word in ("-r", lock)]
    pip = (place / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    _run(*pip, "--require-hashes", *locks, cwd=place)


def _run(*command: str | Path, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",  # the same source gives the same bytes
            "PYINSTALLER_CONFIG_DIR": str(cwd / "settings"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = " ".join(map(str, command[:4]))
        raise Unavailable(f"{words} ... failed:\n{(done.stdout + done.stderr).strip()[-3000:]}")


# --- the archive -----------------------------------------------------------------------------


def _pack(content: Path, archive: Path) -> None:
    """A .tar.gz that says nothing of when, where and by whom it was made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(content.rglob("*")):
            entry = tar.gettarinfo(str(path), str(path.relative_to(content)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            with path.open("rb") if entry.isreg() else io.BytesIO() as file:
                tar.addfile(entry, file)
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def _files(top: Path) -> Iterator[Path]:
    return (p for p in sorted(top.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)


def _digest(files: Iterable[Path]) -> str:
    """Of these files, of this Python, and of this kind of machine."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {machine()}".encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT)} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]
