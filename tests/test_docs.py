"""The written pages say what is true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import BROKEN, HEALTHY, Here, program

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
    part = README.partition("<!-- rights -->")[2].partition("<!-- /rights -->")[0]
    rows = re.findall(r"^\| `(\S+)`(?:, the core group)? \| ([a-z, ]+) \|$", part, re.M)
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
    commands = ("scan", "fix", "why", "rbac", "manifests")
    page = "".join(here(command, "--help").out for command in commands)
    other = {"--server-side"}

    for flag in set(re.findall(r"`(--[a-z-]+)`", README)) - other:
        assert flag in page


def test_the_help_of_the_readme_is_what_it_prints() -> None:
    shown = re.search(r"<!-- help -->\n```\n\$ gwdoctor --help\n(.*?)```", README, re.DOTALL)
    assert shown is not None

    assert program("--help", environment={"COLUMNS": "100"}).out == shown[1]


def test_every_command_is_in_the_readme_not_only_in_its_help(here: Here) -> None:
    commands = re.findall(r"^  (\w+)  ", here("--help").out.partition("Commands:")[2], re.M)
    text = re.sub(r"<!-- help -->.*<!-- /help -->", "", README, flags=re.DOTALL)

    assert commands
    assert [name for name in commands if f"gwdoctor {name}" not in text] == []


def test_links_within_the_readme_lead_somewhere() -> None:
    headings = re.findall(r"^##+ (.*)$", README, re.M)
    anchors = {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}

    linked = set(re.findall(r"\]\(#([^)]*)\)", README))
    assert linked
    assert linked <= anchors


@pytest.mark.slow
def test_the_gate_of_the_readme_is_one(tmp_path: Path) -> None:
    """Its lines, run where there is something wrong, and where there is not."""
    page = README.partition("## Gate in CI")[2].partition("\n## ")[0]
    lines = re.findall(r"(?:^    |- run: |- )(gwdoctor scan -f manifests/ .*)$", page, re.M)
    assert len(lines) == 3
    (tmp_path / "manifests").mkdir()

    for text, code in ((BROKEN, 1), (HEALTHY, 0)):
        (tmp_path / "manifests" / "a.yaml").write_text(text)
        for line in lines:
            done = program(*shlex.split(line)[1:], cwd=tmp_path)
            assert done.code == code, f"{line}: {done.err}"
            for file in re.findall(r"=(\S+)", line):
                assert (tmp_path / file).stat().st_size > 0
                (tmp_path / file).unlink()


@pytest.mark.parametrize("target", re.findall(r"^    make (\w+)", README, re.M))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def test_every_file_that_the_readme_names_exists() -> None:
    names = re.findall(r"`((?:tests|gwdoctor|checks|hack|deploy)/[\w./-]+)`", README)

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
