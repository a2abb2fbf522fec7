"""kwok in the kubelet's place: pods run without running, their logs and ports lead where a test says.

A `ClusterLogs` object names the file that `pods/log` serves, a `ClusterPortForward` the local port that
`pods/portforward` reaches.
"""

from __future__ import annotations

from pathlib import Path

from testbed import crds, golang, tools
from testbed.cache import once
from testbed.controlplane import ControlPlane
from testbed.launch import free_ports

STAGES = ("stage/node/fast/*.yaml", "stage/node/heartbeat/*.yaml", "stage/pod/fast/*.yaml")
NAME = "kwok"
NODE = "gwdoctor-node"


def start(control_plane: ControlPlane) -> None:
    """Run kwok for a control plane, with one node; returns when that node is ready."""
    program = tools.find(tools.KWOK)
    control_plane.define(crds.kwok_definitions())
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [
        str(program),
        f"--kubeconfig={control_plane.kubeconfig}",
        "--manage-all-nodes",
        "--node-ip=127.0.0.1",
        f"--node-port={port}",
        f"--server-address={address}",
        "--enable-crds=ClusterLogs,ClusterPortForward",
        *(f"--config={stage}" for stage in _stages()),
    ]
    control_plane.keep(NAME, command)
    control_plane.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}])
    control_plane.wait_for(NAME, "a ready node", lambda: _ready(control_plane))
    control_plane.remember()


def _ready(control_plane: ControlPlane) -> bool:
    status = control_plane.get("v1", "Node", NODE).get("status", {})
    conditions = status.get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _stages() -> list[Path]:
    """What becomes of nodes and pods, as kwok's own module ships it; without stages it exits."""

    def collect(place: Path) -> None:
        source = golang.files_of("crds", "sigs.k8s.io/kwok") / "kustomize"
        for pattern in STAGES:
            for file in source.glob(pattern):
                if file.name != "kustomization.yaml":
                    (place / file.name).write_bytes(file.read_bytes())

    version = golang.required("crds", "sigs.k8s.io/kwok").removeprefix("v")
    return sorted(once(f"kwok-stages-{version}", collect).iterdir())
