"""`gwdoctor version`: what a bug report needs."""

from __future__ import annotations

import json
import platform
from importlib import metadata

from gwdoctor.cli import stdout, values
from gwdoctor.version import __version__

_LIBRARIES = ("kubernetes", "msgspec", "cryptography", "PyYAML", "typer", "rich", "jq")


def run(output: str) -> int:
    """The command; returns the exit code."""
    versions = {"gwdoctor": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "not installed"
    if values.one_of(output, ["text", "json"], "-o") == "json":
        stdout.write(json.dumps(versions, indent=2) + "\n")
    else:
        stdout.write("".join(f"{name} {version}\n" for name, version in versions.items()))
    return 0
