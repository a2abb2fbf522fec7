"""`gwdoctor`, `kubectl gwdoctor` and `python -m gwdoctor`."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; what has to be quick is answered before anything is imported."""
    called = os.path.basename(sys.argv[0])
    if sys.argv[1:] == ["--version"]:
        from gwdoctor.version import __version__

        print(f"gwdoctor {__version__}")
        return 0
    if called.startswith("kubectl_complete-") or sys.argv[1:2] == ["__complete"]:
        from gwdoctor.completion import answer

        return answer.main(sys.argv[1:] if called.startswith("kubectl_") else sys.argv[2:])
    from gwdoctor.cli.app import run

    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
