"""`hack/freeze`: the archive for this machine, and the krew manifest for all that are there."""

from __future__ import annotations

import argparse
import shutil
import sys

from gwdoctor.version import __version__
from testbed import frozen, krew
from testbed.cache import Unavailable

DIST = frozen.ROOT / "dist"


def main() -> None:
    """Build the archive, unless it was built already, and write the manifest beside it."""
    parser = argparse.ArgumentParser(
        prog="hack/freeze",
        description="Writes to dist/ an archive of gwdoctor that needs no Python, for machines like "
        "this one (on Linux: with its glibc or a newer one), and the krew manifest for it and for "
        "those of other platforms that lie there.",
    )
    parser.add_argument(
        "--homepage",
        default=krew.HOMEPAGE,
        metavar="URL",
        help="where the releases are: archives at URL/releases/download/vVERSION (default: %(default)s)",
    )
    given = parser.parse_args()
    try:
        built = frozen.archive()
    except Unavailable as problem:
        sys.exit(f"hack/freeze: {problem}")
    DIST.mkdir(exist_ok=True)
    shutil.copy(built, DIST)
    manifest = DIST / "gwdoctor.yaml"
    archives = DIST.glob(f"gwdoctor-{__version__}-*-*.tar.gz")
    manifest.write_text(krew.manifest(archives, homepage=given.homepage), encoding="utf-8")
    print(DIST / built.name)
    print(manifest)
