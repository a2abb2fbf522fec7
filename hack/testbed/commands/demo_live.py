"""What `gwdoctor demo` shows, on a real control plane: the broken scenes are loaded and scanned live."""

from __future__ import annotations

import argparse
import subprocess
import sys

from testbed import ControlPlane
from testbed.commands.record_demo import load


def main() -> None:
    """Start a control plane, load the five failures, scan it with the real command, end it."""
    argparse.ArgumentParser(prog="hack/demo-live", description=__doc__).parse_args()
    with ControlPlane.start() as control_plane:
        load(control_plane)
        scan = [sys.executable, "-m", "gwdoctor", "scan", "--all-namespaces"]
        code = subprocess.call([*scan, "--kubeconfig", str(control_plane.kubeconfig)])
    sys.exit(0 if code == 1 else code or 1)  # 1 says that it found something, as it has to
