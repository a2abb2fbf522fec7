"""The five failures on the real API server, scanned by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import scenes
import yaml
from testbed import ControlPlane

Report = dict[str, Any]


def scan(control_plane: ControlPlane, *more: str) -> Report:
    command = [sys.executable, "-m", "gwdoctor", "scan", "-A", "-o", "json", "--timeout", "300s"]
    done = subprocess.run(
        [*command, "--kubeconfig", str(control_plane.kubeconfig), *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    report: Report = json.loads(done.stdout)
    return report


def load(control_plane: ControlPlane, state: str) -> None:
    control_plane.forget()
    for document in scenes.DOCUMENTS:
        text = yaml.safe_dump_all(scenes.manifests(document, state))
        control_plane.apply(text, status=True)


@pytest.fixture(scope="module")
def broken(control_plane: ControlPlane) -> Iterator[Report]:
    load(control_plane, "broken")
    yield scan(control_plane)
    control_plane.forget()


def where(finding: dict[str, Any]) -> str:
    thing = finding["object"]
    return f"{thing['kind']} {thing.get('namespace') or ''}/{thing['name']}".replace(" /", " ")


def test_all_five_are_found_and_nothing_else(broken: Report) -> None:
    wanted = set().union(*scenes.EXPECTED.values())

    assert {(f["check"], where(f)) for f in broken["findings"]} == wanted
    assert broken["not_checked"] == []


def test_the_api_server_accepts_every_fix(broken: Report, control_plane: ControlPlane) -> None:
    fixes = [f["fix"] for f in broken["findings"] if f["fix"] and f["fix"]["manifests"]]
    assert fixes
    for fix in fixes:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(control_plane.kubeconfig), "apply", "--server-side",
             "--force-conflicts", "--dry-run=server", "-f", "-"],
            input=yaml.safe_dump_all(fix["manifests"]),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{fix['title']}\n{done.stderr}"


def test_the_healthy_twins_are_silent(control_plane: ControlPlane) -> None:
    load(control_plane, "healthy")

    report = scan(control_plane)

    control_plane.forget()
    assert [(f["check"], f["message"]) for f in report["findings"]] == []
    assert report["not_checked"] == []
