"""hack/fleet: fills the control plane of hack/cluster with a large cluster's objects."""

from __future__ import annotations

import argparse
import sys
import time

from testbed import fleet
from testbed.cache import say
from testbed.cluster import Refused
from testbed.commands.cluster import run_folder
from testbed.controlplane import ControlPlane


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    control_plane = ControlPlane.attach(run_folder())
    if not control_plane:
        sys.exit("hack/fleet: no control plane runs: hack/cluster up starts one")
    started = time.monotonic()
    try:
        count = fleet.grow(control_plane, arguments.namespaces)
    except Refused as problem:
        sys.exit(f"hack/fleet: {problem}")
    finally:
        control_plane.close()
    say(f"{count} objects after {time.monotonic() - started:.0f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/fleet",
        description="Fill the control plane of hack/cluster with a large cluster's objects, "
        f"{fleet.OBJECTS} in a namespace; what is there already stays as it is.",
    )
    parser.add_argument(
        "--namespaces", type=int, default=100, help="how many (default: 100, 187 MB of JSON)"
    )
    return parser
