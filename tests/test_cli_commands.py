"""The other commands, and how the user calls them."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path

import pytest
from commandline import BROKEN, CHECK, HEALTHY, Done, Here, program

from gwdoctor import kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.source.snapshot import Snapshot
from gwdoctor.version import __version__


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def test_help_without_arguments(here: Here) -> None:
    bare, asked = here(), here("--help")

    assert bare == asked
    assert bare.code == 0
    for command in ("scan", "fix", "explain", "checks", "snapshot", "demo", "version"):
        assert f"  {command}" in bare.out


def test_help_of_scan_has_headings(here: Here) -> None:
    done = here("scan", "-h")

    for heading in ("What is read:", "Which checks:", "Output:", "Connection, as with kubectl:"):
        assert heading in done.out
    for flag in ("--kubeconfig", "--as-group", "-s, --server", "--chunk-size", "-A, --all"):
        assert flag in done.out
    assert "Exit codes" in done.out
    assert "--timings" not in done.out


def test_as_a_plugin_of_kubectl(here: Here) -> None:
    plugin = "/somewhere/kubectl-gwdoctor"

    assert "Usage: kubectl gwdoctor scan" in here("scan", "-h", program=plugin).out
    assert "`kubectl gwdoctor demo`" in here(program=plugin).out
    assert "`kubectl gwdoctor checks`" in here("explain", "nothing", program=plugin).err
    assert "kubectl" not in here(program="/somewhere/gwdoctor").out.replace("kubectl get", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scna",), "Did you mean 'scan'?"),
        (("explain",), "Missing argument"),
        (("scan", "--bogus"), "--bogus"),
        (("scan", "-f"), "requires an argument"),
        (("scan", "--chunk-size", "many"), "many"),
        (("checks", "--area", "kng"), "Did you mean 'kong'?"),
        (("checks", "-o", "xml"), "none of text, json"),
        (("explain", "kong/upstream-protocol-mising"), "kong/upstream-protocol-missing"),
        (("explain", ""), "there is no check"),
        (("snapshot", "-f", "no.yaml", "-o", "x.gz"), "does not exist"),
        (("fix", "--all", "-f", "no.yaml"), "does not exist"),
    ],
)
def test_a_mistake_of_the_user(here: Here, arguments: tuple[str, ...], said: str) -> None:
    done = here(*arguments)

    assert done.code == 2
    assert said in done.err
    assert not done.out


# --- explain and checks -----------------------------------------------------------------------


@pytest.mark.parametrize("name", catalogue())
def test_every_check_is_explained(here: Here, name: str) -> None:
    done = here("explain", name)

    probe = catalogue()[name]
    assert done.code == 0
    assert done.out.startswith(f"# {name}\n")
    assert probe.title() in done.out
    assert "Reads: " in done.out
    for symptom in probe.symptoms:
        assert symptom in done.out


def test_a_finding_is_explained_by_its_id(here: Here) -> None:
    assert here("explain", f"{CHECK}-0123abcd").out == here("explain", CHECK).out


def test_checks_are_listed(here: Here) -> None:
    lines = here("checks").out.splitlines()

    assert [line.split()[1] for line in lines] == list(catalogue())
    of_kong = [line.split()[1] for line in here("checks", "--area", "kong").out.splitlines()]
    assert of_kong == [name for name in catalogue() if name.startswith("kong/")]


def test_checks_for_programs(here: Here) -> None:
    listed = json.loads(here("checks", "-o", "json").out)

    assert [entry["id"] for entry in listed] == list(catalogue())
    assert set(listed[0]) == {"id", "severity", "confidence", "title", "reads", "symptoms"}


# --- snapshot ---------------------------------------------------------------------------------


def scanned(here: Here, *arguments: str | Path) -> Done:
    return here("scan", *arguments, "-o", "json")


def test_a_snapshot_gives_the_report_of_its_files(here: Here, tmp_path: Path) -> None:
    files, saved = tmp_path / "a.yaml", tmp_path / "s.json.gz"
    files.write_text(f"{BROKEN}---\n{HEALTHY}")
    now = ("--now", "2026-11-21T12:00:00Z")

    made = here("snapshot", "-f", files, "-o", saved, *now)

    assert made.code == 0
    assert not made.out
    assert str(saved) in made.err
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    one = scanned(here, "--snapshot", saved).report
    other = scanned(here, "-f", files, *now).report
    assert one.pop("time") == now[1]
    assert other.pop("time") is None
    assert [found.pop("origin") for found in one["findings"]] == [None]
    assert [found.pop("origin") for found in other["findings"]] == [
        {"file": str(files), "line": 10}
    ]
    assert one == other
    assert scanned(here, "--snapshot", saved, "-n", "shop").ids == []
    assert scanned(here, "--snapshot", saved, "-n", "nowhere").code == 2


def test_a_snapshot_on_standard_output(tmp_path: Path) -> None:
    file, saved = tmp_path / "a.yaml", tmp_path / "s.gz"
    file.write_text(HEALTHY)

    with saved.open("wb") as out:
        done = program("snapshot", "-f", file, "-o", "-", stdout=out)

    assert done.code == 0
    assert Snapshot.read(str(saved)).list([kinds.SERVICE]).resources


def test_a_snapshot_that_cannot_be_written(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEALTHY)

    for place in (tmp_path, tmp_path / "no" / "x.gz"):
        done = here("snapshot", "-f", file, "-o", place)
        assert done.code == 2
        assert str(place) in done.err


def test_a_snapshot_that_is_none(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "s.gz"
    file.write_bytes(gzip.compress(b"{}"))

    done = here("scan", "--snapshot", file)

    assert done.code == 2
    assert "is no snapshot" in done.err


# --- demo and version -------------------------------------------------------------------------


def test_the_demo_finds_all_five_failures(here: Here) -> None:
    done = here("demo", "-o", "json")

    assert done.code == 1
    assert {"kong/upstream-protocol-missing", "istio/tls-server-overlap", CHECK} <= set(done.ids)
    assert "this is a demo" in done.err
    assert "gwdoctor scan -A" in done.err
    assert not done.report["not_checked"]
    assert done.report["target"]["context"] == "demo"


def test_the_demo_is_the_same_every_day(here: Here) -> None:
    assert here("demo").out == here("demo").out


def test_version(here: Here) -> None:
    assert here("--version").out == f"gwdoctor {__version__}\n"
    assert here("version").out.startswith(f"gwdoctor {__version__}\npython 3.")
    assert json.loads(here("version", "-o", "json").out)["gwdoctor"] == __version__
