"""The written pages say what is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Here

from gwdoctor import docs, scaffold
from gwdoctor.catalogue import catalogue
from gwdoctor.cli.outcome import Exit
from gwdoctor.kinds import OURS, READINGS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON_M = (sys.executable, "-m", "gwdoctor.docs")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def test_the_written_pages_are_up_to_date() -> None:
    done = subprocess.run([*PYTHON_M, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_page_of_checks_holds_every_check_and_its_links_lead_somewhere() -> None:
    page = docs.checks_page()

    headings = {line[3:] for line in page.splitlines() if line.startswith("## ")}
    assert set(catalogue()) <= headings
    anchors = {re.sub(r"[^\w-]", "", heading) for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors


def test_the_readme_shows_what_the_demo_prints(here: Here) -> None:
    shown = re.search(r"<!-- demo -->\n```\n\$ gwdoctor (.*)\n(.*?)```", README, re.DOTALL)
    assert shown is not None

    assert here(*shown[1].split()).out == shown[2]


def test_the_rights_of_the_readme_are_those_that_the_checks_need() -> None:
    rows = re.findall(r"^\| `(\S+)`(?:, the core group)? \| ([a-z, ]+) \|$", README, re.M)
    listed = {
        (group.strip('"'), plural) for group, plurals in rows for plural in plurals.split(", ")
    }

    needed = {
        (kind.group, READINGS[kind].plural)
        for probe in catalogue().values()
        for kind in probe.reads()
        if kind not in OURS
    }
    assert needed
    assert listed == needed


def commands_of_the_readme() -> list[list[str]]:
    """The lines that begin with gwdoctor in indented blocks, without their comments."""
    lines = re.findall(r"^    gwdoctor (.*)$", README, re.M)
    return [line.partition("  #")[0].split() for line in lines]


@pytest.mark.parametrize("words", commands_of_the_readme(), ids=" ".join)
def test_every_command_of_the_readme_exists(here: Here, words: list[str]) -> None:
    page = here(words[0], "--help").out

    assert page
    for flag in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){flag}(?![\w-])", page), f"{words[0]} has no {flag}"
    if words[0] == "explain":
        assert here(*words).code == 0


def test_every_flag_that_the_readme_names_exists(here: Here) -> None:
    page = here("scan", "--help").out + here("fix", "--help").out
    other = {"--server-side"}

    for flag in set(re.findall(r"`(--[a-z-]+)`", README)) - other:
        assert flag in page


@pytest.mark.parametrize("target", re.findall(r"^    make (\w+)", README, re.M))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def test_every_file_that_the_readme_names_exists() -> None:
    names = re.findall(r"`((?:tests|gwdoctor|checks|hack)/[\w./-]+)`", README)

    assert names
    for name in [*names, *re.findall(r"\]\(([\w./-]+)\)", README)]:
        assert (ROOT / name).exists(), name


def test_the_exit_codes_of_the_readme_are_those_of_the_program(here: Here) -> None:
    listed = {
        int(code)
        for codes in re.findall(r"^\| ([\d, ]+) \|", README, re.M)
        for code in codes.split(",")
    }

    assert listed == set(Exit)
    helped = {int(code) for code in re.findall(r"^    (\d)    ", here("scan", "-h").out, re.M)}
    assert helped == {code for code in Exit if code < 100}


# --- a new check ------------------------------------------------------------------------------


def test_a_new_check_is_begun(tmp_path: Path) -> None:
    files = scaffold.begin(tmp_path, "new-family/some-new-thing")

    assert [str(file.relative_to(tmp_path)) for file in files] == [
        "checks/new_family/some_new_thing.py",
        "tests/cases/new_family/some_new_thing/bad_example.yaml",
        "tests/cases/new_family/some_new_thing/ok_example.yaml",
        "checks/new_family/__init__.py",
    ]
    module = files[0].read_text()
    assert "class SomeNewThing(Probe):" in module
    assert "# finding: new-family/some-new-thing" in files[1].read_text()


def test_what_is_begun_passes_lint(tmp_path: Path) -> None:
    files = scaffold.begin(tmp_path, "new-family/some-new-thing")
    modules = [str(file) for file in files if file.suffix == ".py"]
    configured = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]

    for command in (["ruff", "check", *configured], ["ruff", "format", "--check", *configured]):
        done = subprocess.run(
            [sys.executable, "-m", *command, *modules], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["thing", "kong/Thing", "kong/some_thing", "kong/one", "../a/b-c"])
def test_a_name_that_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        scaffold.begin(tmp_path, name)


def test_a_check_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    scaffold.begin(tmp_path, "kong/some-new-thing")

    with pytest.raises(ValueError, match="exists already"):
        scaffold.begin(tmp_path, "kong/some-new-thing")
