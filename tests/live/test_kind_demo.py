"""The kind cluster for people with Docker, as far as it can be tested without."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from testbed import ControlPlane, tools
from testbed.commands import kind_demo

# kind asks the engine for its health, for clusters and for the image before and after it checks the
# configuration. This one has an answer to these questions, and fails at the first thing to be done.
ENGINE = """#!/bin/sh
case "$1" in
info) echo '{"CgroupVersion": "2", "CgroupDriver": "systemd"}' ;;
ps | inspect) ;;
*) echo "no engine here" >&2; exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def kind() -> Path:
    return tools.find(tools.KIND)


def _create(kind: Path, configuration: str, folder: Path) -> str:
    """What kind says when it is to create a cluster without an engine."""
    engine, file = folder / "docker", folder / "cluster.yaml"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    file.write_text(configuration)
    done = subprocess.run(
        [kind, "create", "cluster", f"--config={file}", f"--kubeconfig={folder / 'kubeconfig'}"],
        env={"PATH": f"{folder}:{os.defpath}", "KIND_EXPERIMENTAL_PROVIDER": "docker"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_kind_accepts_our_configuration(kind: Path, tmp_path: Path) -> None:
    said = _create(kind, kind_demo.CONFIGURATION.read_text(), tmp_path)

    assert f'Creating cluster "{kind_demo.NAME}"' in said
    assert "no engine here" in said, "nothing else was wrong"


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("role: ", "rolle: ", "field rolle not found"),
        ("role: control-plane", "role: boss", "not a valid node role"),
        ("apiServerAddress: 127.0.0.1", "apiServerPort: 99999", "invalid apiServerPort"),
        ("/v1alpha4", "/v1alpha9", "unknown apiVersion"),
    ],
)
def test_kind_refuses_a_wrong_one(
    kind: Path, tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    configuration = kind_demo.CONFIGURATION.read_text()
    assert right in configuration

    said = _create(kind, configuration.replace(right, wrong), tmp_path)

    assert complaint in said
    assert "Creating cluster" not in said


def test_what_goes_into_the_cluster_is_taken_by_a_real_server(
    empty_control_plane: ControlPlane,
) -> None:
    assert kind_demo.load(empty_control_plane) > 50

    pods = empty_control_plane.items("v1", "Pod")
    accounts = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in empty_control_plane.items("v1", "ServiceAccount")
    }
    assert pods
    for pod in pods:
        name = pod["spec"].get("serviceAccountName", "default")
        assert (pod["metadata"]["namespace"], name) in accounts
