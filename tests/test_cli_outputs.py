"""`-o FORMAT=FILE` and `convert`: what goes where, and what is said of what cannot."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import reports
import yaml
from commandline import BROKEN, CHECK, HEALTHY, Done, Here, program

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import stepsummary
from gwdoctor.render.formats import FORMATS, names
from gwdoctor.render.words import visible

ONLY = ("--select", CHECK)
FULL = Path("/dev/full")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two manifests in it."""
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "healthy.yaml").write_text(HEALTHY)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(stepsummary.VARIABLE, raising=False)
    return tmp_path


def scan(here: Here, *arguments: str | Path) -> Done:
    return here("scan", "-f", "broken.yaml", *ONLY, *arguments)


# --- what goes where ------------------------------------------------------------------------------


def without_map(text: str) -> str:
    """A JSON report as it would be without the map of requests, which is its last field."""
    head, comma, _ = text.partition(',\n  "entry": {')
    return f"{head}\n}}\n" if comma else text


def test_one_run_writes_every_format(here: Here, folder: Path) -> None:
    asked = [argument for form in FORMATS for argument in ("-o", f"{form}=out/{form}")]

    done = scan(here, *asked)

    assert done.code == 1
    assert not done.out
    for form in FORMATS:
        alone = scan(here, "-o", form)
        together = (folder / "out" / form).read_text(encoding="utf-8")
        # beside a page JSON holds the map of it
        assert alone.out == (without_map(together) if form == "json" else together)
        assert alone.code == 1
    assert sorted(os.listdir("out")) == sorted(FORMATS)


def test_files_and_standard_output_at_once(here: Here, folder: Path) -> None:
    done = scan(here, "-o", "text", "-o", "sarif=x.sarif", "-o=json=r.json")

    assert done.out == scan(here).out
    assert not done.err
    assert json.loads(Path("x.sarif").read_text())["version"] == "2.1.0"
    assert json.loads(Path("r.json").read_text())["version"] == 1


def test_without_a_report_on_standard_output_it_is_said_where_it_is(
    here: Here, folder: Path
) -> None:
    done = scan(here, "-o", "json=a.json", "-o", "csv=b.csv")

    assert done.err == (
        "gwdoctor: the report is in a.json, b.csv; exit 1: 1 finding at or above high\n"
    )


def test_a_dash_is_standard_output(here: Here, folder: Path) -> None:
    assert scan(here, "-o", "csv=-").out == scan(here, "-o", "csv").out


def test_jq_is_for_standard_output_and_files_hold_the_whole(here: Here, folder: Path) -> None:
    done = scan(here, "--jq", ".summary.critical", "-o", "json=r.json", "-o", "csv=r.csv")

    assert done.out == "1\n"
    assert Path("r.json").read_text() == scan(here, "-o", "json").out
    assert scan(here, "--jq", ".summary.critical", "-o", "json").out == "1\n"


def test_a_file_has_no_colour_unless_it_is_asked_for(here: Here, folder: Path) -> None:
    scan(here, "-o", "text=plain.txt")
    scan(here, "-o", "text=colored.txt", "--color", "always")

    assert "\x1b" not in Path("plain.txt").read_text()
    assert "\x1b[1;31mcritical" in Path("colored.txt").read_text()


def test_an_object_out_of_a_file_is_reported_with_its_file_and_the_line_of_the_field(
    here: Here, folder: Path
) -> None:
    Path("two.yaml").write_text(f"{HEALTHY}---\n{BROKEN}")
    line = Path("two.yaml").read_text().splitlines().index("          inlineCode: |") + 1

    (finding,) = here("scan", "-f", "two.yaml", *ONLY, "-o", "json").report["findings"]

    assert finding["path"].endswith("/inlineCode")
    assert finding["origin"] == {"file": "two.yaml", "line": line}


def test_what_comes_through_a_pipe_has_no_file(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(BROKEN.encode())

    monkeypatch.setattr("sys.stdin", Stdin)

    (finding,) = here("scan", "-f", "-", *ONLY, "-o", "json").report["findings"]

    assert finding["origin"] is None


def test_help_names_every_format(here: Here) -> None:
    for command in ("scan", "convert", "demo"):
        page = " ".join(here(command, "--help").out.split())
        assert names() in page
        assert "FORMAT[=FILE]" in page


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "jsn=x"), f"-o: 'jsn' is none of {names()}. Did you mean 'json'?"),
        (("-o", ""), "-o: '' is none of"),
        (("-o", "=x"), "-o: '' is none of"),
        (("-o", "report.csv"), "Did you mean -o csv=report.csv?"),
        (("-o", "json="), "-o json=: name a file behind the ="),
        (("-o", "json", "-o", "text"), "one format can go to standard output"),
        (("-o", "json", "-o", "json=/dev/stdout"), "one format can go to standard output"),
        (("-o", "json", "-o", "json=-"), "one format can go to standard output"),
        (("-o", "json=x", "-o", "csv=./x"), "-o: ./x is named twice"),
        (("-o", "json=link", "-o", "csv=broken.yaml"), "-o: broken.yaml is named twice"),
        (("-o", "json=out"), "-o: out: is a folder; name a file"),
        (("-o", "json=no/x"), "-o: no/x: the folder "),
        (("-o", "json=broken.yaml/x"), "-o: broken.yaml/x: the folder "),
        (("-o", "json=/proc/x"), "-o: /proc/x: no file can be made in /proc: "),
        (("--jq", ".", "-o", "csv"), "--jq works on JSON: leave out -o csv"),
        (("--jq", ".", "-o", "jsonl"), "--jq works on JSON: leave out -o jsonl"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_scan(
    here: Here, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    Path("link").symlink_to("broken.yaml")
    before = sorted(os.listdir())

    done = here("scan", "-f", "not-there.yaml", *arguments)

    assert done.code == 2
    assert said in done.err, "and nothing about the file that is not there"
    assert len(done.err.splitlines()) == 1
    assert not done.out
    assert sorted(os.listdir()) == before
    assert Path("broken.yaml").read_text() == BROKEN


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_disk_that_is_full_costs_nobody_the_other_reports(here: Here, folder: Path) -> None:
    done = scan(here, "-o", f"json={FULL}", "-o", "csv=r.csv", "-o", "text")

    assert done.code == 2
    assert done.err == f"gwdoctor: -o: {FULL}: No space left on device\n"
    assert done.out == scan(here).out
    assert Path("r.csv").read_text() == scan(here, "-o", "csv").out


# --- files are whole ------------------------------------------------------------------------------


def test_a_file_that_cannot_be_finished_stays_as_it_was(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out/r.json").write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = scan(here, "-o", "json=out/r.json")

    assert done.code == 2
    assert "-o: out/r.json: No space left on device" in done.err
    assert Path("out/r.json").read_text() == "before"
    assert os.listdir("out") == ["r.json"]


def test_the_mode_and_the_link_of_a_file_stay(here: Here, folder: Path) -> None:
    Path("out/r.json").write_text("before")
    Path("out/r.json").chmod(0o640)
    Path("link.json").symlink_to("out/r.json")

    scan(here, "-o", "json=link.json")

    assert Path("link.json").is_symlink()
    assert stat.S_IMODE(Path("out/r.json").stat().st_mode) == 0o640
    assert json.loads(Path("out/r.json").read_text())["version"] == 1


def test_a_new_file_has_the_mode_that_the_umask_leaves(here: Here, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        scan(here, "-o", "json=out/r.json")
    finally:
        os.umask(before)

    assert stat.S_IMODE(Path("out/r.json").stat().st_mode) == 0o640


@pytest.mark.slow
def test_the_files_are_there_when_the_reader_has_gone(folder: Path) -> None:
    copies = (BROKEN.replace("misdirected,", f"m{n},") for n in range(400))
    Path("broken.yaml").write_text("---\n".join(copies))
    command = [sys.executable, "-m", "gwdoctor", "scan", "-f", "broken.yaml", *ONLY]
    process = subprocess.Popen(
        [*command, "-o", "markdown", "-o", "json=r.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.read(10)
    process.stdout.close()
    complaints = process.stderr.read()

    assert process.wait(60) == 128 + signal.SIGPIPE
    assert complaints == b""
    assert len(json.loads(Path("r.json").read_text())["findings"]) == 400
    process.stderr.close()


def test_a_pipe_is_written_to(folder: Path) -> None:
    """As bash makes one of `-o json=>(gzip > report.gz)`."""
    reading, writing = os.pipe()
    done = program(
        *("scan", "-f", "broken.yaml", *ONLY, "-o", f"json=/dev/fd/{writing}"), pass_fds=[writing]
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert json.load(pipe)["version"] == 1

    assert done.code == 1


# --- hostile names --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [text for text in reports.HOSTILES if text.strip() and not text.startswith("-")],
    ids=lambda text: text[:12],
)
def test_hostile_names_out_of_a_file_reach_every_format_and_back(
    here: Here, folder: Path, name: str
) -> None:
    manifest = yaml.safe_load(BROKEN)
    manifest["metadata"]["name"] = name
    Path("hostile.json").write_text(json.dumps(manifest))
    asked = [argument for form in FORMATS for argument in ("-o", f"{form}=out/{form}")]

    done = here("scan", "-f", "hostile.json", *ONLY, *asked)

    assert done.code == 1, done.err
    (finding,) = json.loads(Path("out/json").read_text())["findings"]
    assert finding["object"]["name"] == name
    (case,) = ElementTree.parse("out/junit").getroot().iter("failure")
    assert visible(name) in case.attrib["message"]
    for form in FORMATS:
        written = Path("out", form).read_text(encoding="utf-8")
        assert here("convert", "out/json", "-o", form).out == written
        assert all(character.isprintable() or character == "\n" for character in written)


# --- the summary of a step --------------------------------------------------------------------


@pytest.mark.parametrize("where", ["github", "github=annotations.txt"])
def test_the_summary_of_a_step_is_added_to(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    Path("summary.md").write_text("what another step said\n")
    monkeypatch.setenv(stepsummary.VARIABLE, "summary.md")

    scan(here, "-o", where)

    markdown = scan(here, "-o", "markdown").out
    assert Path("summary.md").read_text() == f"what another step said\n{markdown}"


def test_without_annotations_no_summary_is_written(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stepsummary.VARIABLE, "summary.md")

    scan(here, "-o", "markdown")

    assert not Path("summary.md").exists()


def test_a_summary_stays_within_what_github_shows(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("summary.md").write_text("x" * (stepsummary.MOST - 700))
    monkeypatch.setenv(stepsummary.VARIABLE, "summary.md")

    assert scan(here, "-o", "github").code == 1

    assert Path("summary.md").stat().st_size <= stepsummary.MOST
    assert Path("summary.md").read_text().endswith("exit 1: 1 finding at or above high\n")


def test_a_summary_that_cannot_be_written_is_told(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stepsummary.VARIABLE, "no/summary.md")

    done = scan(here, "-o", "github")

    assert done.code == 2
    assert "no/summary.md ($GITHUB_STEP_SUMMARY): No such file or directory" in done.err
    assert done.out.startswith("::error file=broken.yaml,line=")


# --- convert ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_converted_is_what_the_scan_would_have_written(
    here: Here, folder: Path, form: str
) -> None:
    direct = here("scan", "-f", ".", "-o", form, "-o", "json=r.json")

    converted = here("convert", "r.json", "-o", form)

    assert converted == direct


@pytest.mark.parametrize("form", FORMATS)
def test_the_demo_is_converted_into_the_same(here: Here, folder: Path, form: str) -> None:
    direct = here("demo", "-o", form, "-o", "jsonl=r.jsonl")

    converted = here("convert", "r.jsonl", "-o", form)

    if form == "html":  # lines of a log do not hold the map that it shows
        assert "This report holds no map" in converted.out
    else:
        assert (converted.out, converted.code) == (without_map(direct.out), direct.code)
    assert not converted.err


@pytest.mark.slow
def test_a_report_can_be_piped_on(folder: Path) -> None:
    done = program("scan", "-f", "broken.yaml", *ONLY, "-o", "jsonl")
    with subprocess.Popen(
        [sys.executable, "-m", "gwdoctor", "convert", "-", "-o", "wide"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        out, _ = process.communicate(done.out.encode(), timeout=60)

    assert process.returncode == 1
    assert out.decode() == program("scan", "-f", "broken.yaml", *ONLY, "-o", "wide").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-f", "broken.yaml"), 1),
        (("-f", "broken.yaml", "--fail-on", "never"), 0),
        (("-f", "healthy.yaml"), 0),
        (("-f", "healthy.yaml", "-f", "bad.txt"), 3),
        (("-f", "broken.yaml", "-f", "bad.txt"), 1),
        (("-f", "broken.yaml", "-f", "bad.txt", "--fail-on", "never"), 3),
        (("-f", "broken.yaml", "-f", "not-there.yaml"), 2),
        (("-f", "healthy.yaml", "-f", "other.json"), 3),
    ],
)
def test_convert_ends_as_the_scan_did(
    here: Here, folder: Path, arguments: tuple[str, ...], code: int
) -> None:
    Path("bad.txt").write_text("a: [1")
    Path("other.json").write_text('{"a": 1}')
    fail_on = arguments[arguments.index("--fail-on") :] if "--fail-on" in arguments else ()

    scanned = here("scan", *ONLY, *arguments, "-o", "text", "-o", "json=r.json")

    assert scanned.code == code
    for form in FORMATS:
        assert here("convert", "r.json", *fail_on, "-o", form).code == code
    assert here("convert", "r.json", *fail_on).out == scanned.out


def test_convert_ends_as_the_scan_did_that_broke(
    here: Here, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_run(self: object, cluster: object) -> object:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(catalogue()[CHECK], "run", broken_run)

    scanned = scan(here, "-o", "text", "-o", "json=r.json")

    assert scanned.code == 2
    converted = here("convert", "r.json")
    assert (converted.code, converted.out) == (2, scanned.out)


def test_the_threshold_of_the_exit_code_can_be_another_one(here: Here, folder: Path) -> None:
    scan(here, "-o", "json=r.json")

    assert here("convert", "r.json", "--fail-on", "never").code == 0
    assert here("convert", "r.json", "--fail-on", "critical").code == 1


def test_jq_works_on_a_saved_report(here: Here, folder: Path) -> None:
    scan(here, "-o", "json=r.json")

    assert here("convert", "r.json", "--jq", ".findings[].check").out == f"{CHECK}\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.json", None, "no.json: No such file or directory"),
        ("out", None, "out: Is a directory"),
        ("a\0b", None, "null"),
        ("r.json", b"{}", "r.json: is no report of gwdoctor"),
        ("r.json", b"\x1b[2J", "r.json: line 1: is no JSON"),
        (
            "r.json",
            b'{"version": 9, "tool": {"name": "gwdoctor", "version": "9.1\x7f"}}',
            "r.json: version: 9 is newer than 1, the one that this gwdoctor reads; "
            r"take gwdoctor 9.1\x7f",
        ),
    ],
)
def test_what_is_no_report_is_told_in_one_line(
    here: Here, folder: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content)

    done = here("convert", name, "-o", "csv=r.csv")

    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not Path("r.csv").exists()


def test_only_the_renderers_that_are_used_are_imported() -> None:
    code = (
        "import sys; sys.argv = ['gwdoctor', 'demo', '-o', 'json']\n"
        "from gwdoctor.__main__ import main; main()\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    imported = set(re.findall(r"^gwdoctor\.render\.(\w+)$", done.stderr, re.M))
    assert "machine" in imported
    assert not imported & {form.place.partition(":")[0] for form in FORMATS.values()} - {"machine"}
