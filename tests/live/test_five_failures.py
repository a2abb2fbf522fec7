"""The five failures on the real API server, scanned by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
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
def broken(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Report]:
    load(control_plane, "broken")
    page = tmp_path_factory.mktemp("page") / "report.html"
    yield scan(control_plane, "-o", f"html={page}")
    control_plane.forget()


def where(finding: dict[str, Any]) -> str:
    thing = finding["object"]
    return f"{thing['kind']} {thing.get('namespace') or ''}/{thing['name']}".replace(" /", " ")


def test_all_five_are_found_and_nothing_else(broken: Report) -> None:
    wanted = set().union(*scenes.EXPECTED.values())

    assert {(f["check"], where(f)) for f in broken["findings"]} == wanted
    assert broken["not_checked"] == []


def hosts(report: Report) -> dict[str, str]:
    return {host["name"]: host["state"] for host in report["entry"]["map"]["hosts"]}


def test_the_map_shows_which_hostnames_they_break(broken: Report) -> None:
    assert hosts(broken) == {
        "api.edge.example.com": "broken",
        "api.minio.example.com": "broken",
        "authory.jiaxiu.example.com": "degraded",
        "console.minio.example.com": "broken",
        "drawdb.jiaxiu.example.com": "degraded",
        "pay.example.com": "broken",
    }
    assert next(c["secret"]["name"] for c in broken["entry"]["certificates"]) == "pay-tls"


def test_the_page_reads_what_its_map_takes_whatever_is_selected(
    broken: Report, control_plane: ControlPlane, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    one = ("--select", "kong/plugin-not-in-kong")

    assert "entry" not in scan(control_plane, *one)
    report = scan(control_plane, *one, "-o", f"html={page}")

    assert hosts(report) == dict.fromkeys(hosts(broken), "ok") | {"pay.example.com": "broken"}
    assert "requests to 1 of 6 hostnames fail" in page.read_text()


def test_nothing_is_well_for_who_may_see_nothing(
    broken: Report, control_plane: ControlPlane, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"

    report = scan(control_plane, "--as", "nobody", "-o", f"html={page}")

    assert report["not_checked"]
    assert hosts(report) == {}
    text = page.read_text()
    assert "no problem found in what could be checked" in text
    assert "A role with this rule shows it" in text


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
    assert set(hosts(report).values()) == {"ok"}
