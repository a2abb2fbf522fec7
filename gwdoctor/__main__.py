"""`gwdoctor`, `kubectl gwdoctor` and `python -m gwdoctor`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; `--version` is answered before anything is imported."""
    if sys.argv[1:] == ["--version"]:
        from gwdoctor.version import __version__

        print(f"gwdoctor {__version__}")
        return 0
    from gwdoctor.cli.app import run

    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
