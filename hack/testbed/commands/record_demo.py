"""The cluster of `gwdoctor demo`: the broken scenes in a real API server, saved as a snapshot."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from gwdoctor.gather import gather
from gwdoctor.kinds import READINGS
from gwdoctor.model import Target
from gwdoctor.probe import Probe
from gwdoctor.source import snapshot
from gwdoctor.source.access import Flags
from gwdoctor.source.live import connect
from testbed import ControlPlane

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "gwdoctor" / "data" / "demo.json.gz"
#: What the report says of where it was recorded: no address and no user of the machine.
TARGET = Target(context="demo", server="https://demo.example.com:6443", user="demo")


class Everything(Probe):
    """Reads every kind that there is, so that the checks of tomorrow find theirs in the demo."""

    subjects = tuple(READINGS)


def main() -> None:
    """Record it, from the cluster of a kubeconfig or from one that is started for it."""
    parser = argparse.ArgumentParser(prog="hack/record-demo", description=__doc__)
    parser.add_argument(
        "kubeconfig",
        nargs="?",
        help="a cluster that holds the scenes already; without it a control plane is started, "
        "and tests/live/scenes/*.broken.yaml are loaded",
    )
    given = parser.parse_args()
    if given.kubeconfig:
        record(given.kubeconfig)
        return
    with ControlPlane.start() as control_plane:
        load(control_plane)
        record(str(control_plane.kubeconfig))


def load(control_plane: ControlPlane) -> None:
    """Put the broken scenes into the cluster, with the status that their controllers would set."""
    sys.path.insert(0, str(ROOT / "tests"))
    import scenes

    for document in scenes.DOCUMENTS:
        control_plane.apply(scenes.manifests(document, "broken"), status=True)


def record(kubeconfig: str) -> None:
    """Save what a scan of everything reads."""
    with connect(Flags(kubeconfig=kubeconfig), namespaces=None) as live:
        picture = gather(live, [Everything])
    # to the second: the clock of the demo
    taken = picture.cluster.now.replace(microsecond=0)
    data = snapshot.save(replace(picture.batch, target=TARGET), READINGS, taken, TARGET)
    DEMO.parent.mkdir(exist_ok=True)
    DEMO.write_bytes(data)
    print(f"{len(picture.cluster)} objects, {len(data)} bytes in {DEMO.relative_to(ROOT)}")
