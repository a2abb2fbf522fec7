"""The krew manifest: the one of deploy/, with the archives of a release filled in."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML

from gwdoctor.version import __version__
from testbed.frozen import PROGRAM, ROOT

TEMPLATE = ROOT / "deploy" / "krew.yaml"
HOMEPAGE = "https://github.com/gwdoctor/gwdoctor"


def manifest(archives: Iterable[Path], *, homepage: str = HOMEPAGE) -> str:
    """For these archives, which lie in the release of this version at the homepage."""
    yaml = YAML()
    yaml.width = 1000  # a long URL stays on its line
    whole = yaml.load(_without_its_head(TEMPLATE.read_text(encoding="utf-8")))
    spec = whole["spec"]
    spec["version"] = f"v{__version__}"
    spec["homepage"] = homepage
    spec["platforms"] = [
        _platform(archive, f"{homepage}/releases/download/v{__version__}")
        for archive in sorted(archives)
    ]
    text = io.StringIO()
    yaml.dump(whole, text)
    return text.getvalue()


def _without_its_head(text: str) -> str:
    """The comment at the top is about the template."""
    return re.sub(r"\A(#.*\n)+", "", text)


def _platform(archive: Path, release: str) -> dict[str, object]:
    system, processor = archive.name.removesuffix(".tar.gz").split("-")[-2:]
    return {
        "selector": {"matchLabels": {"os": system, "arch": processor}},
        "uri": f"{release}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "bin": PROGRAM,
    }
