"""`gwdoctor scan` of files: which findings, which exit code, what is said where."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from commandline import BROKEN, CHECK, HEALTHY, Here

from gwdoctor.catalogue import catalogue
from gwdoctor.render.formats import FORMATS, names
from gwdoctor.yamltext.reading import Document, documents

ONLY = ("--select", CHECK)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return written(tmp_path, "broken.yaml", BROKEN)


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return written(tmp_path, "healthy.yaml", HEALTHY)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


# --- exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-f", "broken.yaml"), 1),
        (("-f", "broken.yaml", "--fail-on", "critical"), 1),
        (("-f", "broken.yaml", "--fail-on", "never"), 0),
        (("-f", "healthy.yaml"), 0),
        (("-f", "healthy.yaml", "--fail-on", "low"), 0),
        (("-f", "."), 1),
        (("-f", "healthy.yaml", "-f", "bad.txt"), 3),
        (("-f", "broken.yaml", "-f", "bad.txt"), 1),
        (("-f", "broken.yaml", "-f", "no.yaml"), 2),
        (("-f", "bad.txt"), 2),
        (("-f", "no.yaml"), 2),
        (("-f", "empty.txt"), 2),
        (("-f", "healthy.yaml", "--snapshot", "x"), 2),
        (("--snapshot", "no.gz"), 2),
        (("--snapshot", "healthy.yaml"), 2),
        (("-f", "healthy.yaml", "--nonsense"), 2),
        (("-f", "healthy.yaml", "--fail-on", "sometimes"), 2),
        (("--kubeconfig", "no.config"), 4),
        (("--kubeconfig", "kubeconfig", "--context", "other"), 4),
    ],
)
def test_the_exit_code_is_the_same_for_every_format(
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: Path,
    healthy: Path,
    form: str,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "bad.txt", "a: [1")
    written(tmp_path, "empty.txt", "")
    written(tmp_path, "kubeconfig", "apiVersion: v1\nkind: Config\n")

    done = here("scan", *ONLY, *arguments, "-o", form, "--timeout", "5s")

    assert done.code == code, done.err
    assert "Traceback" not in done.err
    if code in (0, 1, 3):
        assert done.out
    if form in ("text", "wide") and done.out:
        assert f"exit {code}: " in done.out.splitlines()[-1]


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_no_cluster(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "kubeconfig", "apiVersion: v1\nkind: Config\n")

    done = here("scan", "-s", "https://127.0.0.1:1", "--kubeconfig", "kubeconfig", "-o", "sarif")

    assert done.code == 4
    assert not done.out


def test_a_broken_check_is_told_and_is_no_success(
    here: Here, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_run(self: object, cluster: object) -> object:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(catalogue()[CHECK], "run", broken_run)

    done = here("scan", "-f", healthy, *ONLY, "-o", "json")

    assert done.code == 2
    (skipped,) = done.report["not_checked"]
    assert "ZeroDivisionError" in skipped["reason"]


# --- which checks, which findings -----------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--select", CHECK),
        ("--select", "istio"),
        ("--select", "istio/"),
        ("--select", "istio/misdir"),
        ("--select", "*/misdirected-*"),
        ("--select", f"kong, {CHECK}"),
        ("--select", "kong", "--select", CHECK),
        ("--select", "istio", "--ignore", "istio/tls-server-overlap,kong"),
        (),
    ],
)
def test_checks_are_chosen_by_id_family_prefix_and_pattern(
    here: Here, broken: Path, arguments: tuple[str, ...]
) -> None:
    assert CHECK in here("scan", "-f", broken, *arguments, "-o", "json").ids


def test_ignored_checks_are_not_run(here: Here, broken: Path) -> None:
    assert CHECK not in here("scan", "-f", broken, "--ignore", CHECK, "-o", "json").ids


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--select", "isto"), "there is no check 'isto'. Did you mean 'istio'?"),
        (("--ignore", f"{CHECK}s"), f"Did you mean '{CHECK}'?"),
        (("--select", "*/nothing*"), "there is no check '*/nothing*'."),
        (("--select", CHECK, "--ignore", "istio"), "no check is left"),
        (("--min-severity", "hihg"), "'hihg' is none of critical, high, medium, low. Did you"),
        (("--min-confidence", "sure"), "--min-confidence: 'sure' is none of certain"),
        (("-o", "jsn"), f"-o: 'jsn' is none of {names()}. Did you mean 'json'?"),
        (("--color", "sometimes"), "--color"),
        (("--timeout", "soon"), "--timeout: 'soon' is no duration"),
        (("--now", "noon"), "--now: 'noon' is no time"),
        (("-n", "nowhere"), "-n: there is nothing of namespace nowhere"),
        (("-n", ""), "-n: the name of a namespace is empty"),
        (("-l", "a in b"), "-l: "),
        (("-l", ""), "-l: "),
        (("--jq", ".["), "--jq: "),
        (("--jq", ".", "-o", "yaml"), "--jq works on JSON"),
        (("--jq", '.nothing | error("no")'), "--jq: no"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    here: Here, broken: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = here("scan", "-f", broken, *arguments)

    assert done.code == 2
    assert not done.out
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_thresholds_hide_and_count(here: Here, broken: Path) -> None:
    sure = here("scan", "-f", broken, *ONLY, "--min-confidence", "certain", "-o", "json").report
    loud = here("scan", "-f", broken, *ONLY, "--min-severity", "critical", "-o", "json").report
    everything = here("scan", "-f", broken, *ONLY, "-o", "json").report

    for report in (sure, loud):
        hidden = len(everything["findings"]) - len(report["findings"])
        assert report["summary"]["ignored"] == hidden


def test_a_hidden_finding_does_not_fail_the_run(here: Here, broken: Path) -> None:
    found = here("scan", "-f", broken, *ONLY, "-o", "json").report["findings"][0]
    assert found["confidence"] == "certain"

    for severity, code in (("critical", 1), ("high", 1)):
        assert here("scan", "-f", broken, *ONLY, "--min-severity", severity).code == code


# --- which part -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), 1),
        (("-A",), 1),
        (("-n", "infra"), 1),
        (("-n", "infra,shop"), 1),
        (("-n", "shop"), 0),
        (("-n", "shop", "-A"), 1),
        (("-n", "shop", "-n", "infra"), 1),
        (("-l", "app=edge"), 1),
        (("-l", "app==edge,tier!=db"), 1),
        (("-l", "app in (edge, other),!gone,tier"), 1),
        (("-l", "app notin (edge)"), 0),
        (("-l", "app=other"), 0),
        (("-l", "gone"), 0),
    ],
)
def test_the_report_is_about_what_was_asked_for(
    here: Here, broken: Path, healthy: Path, arguments: tuple[str, ...], found: int
) -> None:
    done = here("scan", "-f", broken, "-f", healthy, *ONLY, *arguments, "-o", "json")

    assert len(done.ids) == found
    assert done.code == found


def test_the_report_says_which_namespaces(here: Here, broken: Path, healthy: Path) -> None:
    files = ("-f", broken, "-f", healthy)

    assert here("scan", *files, "-o", "json").report["target"]["namespaces"] == ["*"]
    one = here("scan", *files, "-n", "shop", "-o", "json").report
    assert one["target"]["namespaces"] == ["shop"]
    assert "namespace shop" in here("scan", *files, "-n", "shop").out.splitlines()[0]


def test_a_namespace_is_lent_to_what_names_none(here: Here, tmp_path: Path) -> None:
    file = written(tmp_path, "a.yaml", BROKEN.replace("namespace: infra, ", ""))

    (finding,) = here("scan", "-f", file, *ONLY, "-n", "edge", "-o", "json").report["findings"]

    assert finding["object"]["namespace"] == "edge"


# --- output ---------------------------------------------------------------------------------------


def test_data_goes_to_stdout_and_talk_to_stderr(here: Here, tmp_path: Path) -> None:
    file = written(tmp_path, "a.yaml", BROKEN + "---\na: [\n")
    line = BROKEN.count("\n") + 2

    done = here("scan", "-f", file, *ONLY, "-o", "json")

    assert json.loads(done.out)["findings"]
    assert f"{file}:{line}: is not valid YAML" in done.err
    (skipped,) = done.report["not_checked"]
    assert skipped["check"] is None
    assert f"{file}:{line}" in skipped["reason"]


def test_many_notes_are_not_all_said_but_all_reported(here: Here, tmp_path: Path) -> None:
    """The folders of overlays hold the same object over and over."""
    for number in range(60):
        written(tmp_path, f"{number:02}.yaml", HEALTHY)
    written(tmp_path, "99.yaml", "a: [")

    done = here("scan", "-f", tmp_path, "-o", "json")

    lines = done.err.splitlines()
    assert len(lines) == 21
    assert "99.yaml:1: is not valid YAML" in lines[0], "the worst first"
    assert lines[-1] == 'gwdoctor: and 40 more, all under "not checked"'
    reasons = [skip["reason"] for skip in done.report["not_checked"] if skip["check"] is None]
    assert len(reasons) == 60


def test_the_same_input_gives_the_same_bytes(here: Here, broken: Path, healthy: Path) -> None:
    files = ("-f", broken, "-f", healthy)
    turned = ("-f", healthy, "-f", broken)

    for form in FORMATS:
        first = here("scan", *files, "-o", form, "--now", "2026-11-21T12:00:00Z")
        again = here("scan", *turned, "-o", form, "--now", "2026-11-21T12:00:00Z")
        assert first.out == again.out


def test_yaml_and_json_are_one_report(here: Here, broken: Path) -> None:
    as_json = here("scan", "-f", broken, "-o", "json").report
    (as_yaml,) = documents(here("scan", "-f", broken, "-o", "yaml").out)

    assert isinstance(as_yaml, Document)
    assert as_yaml.value == as_json


def test_fixes_can_be_left_out(here: Here, broken: Path) -> None:
    assert "kubectl apply --server-side" in here("scan", "-f", broken, *ONLY).out
    assert "kubectl apply" not in here("scan", "-f", broken, *ONLY, "--no-fixes").out


def test_kubectl_spellings_of_flags(here: Here, broken: Path) -> None:
    done = here("scan", "-f", broken, *ONLY, "-o=json", "-n=infra", "-A=false", "--no-fixes=true")

    assert done.report["target"]["namespaces"] == ["infra"]


@pytest.mark.parametrize(
    ("program", "out"),
    [
        (".findings[].check", f"{CHECK}\n"),
        (".summary.critical", "1\n"),
        (".findings[0].because, null, [1,2]", "[]\nnull\n[1,2]\n"),
        ("empty", ""),
    ],
)
def test_jq(here: Here, broken: Path, program: str, out: str) -> None:
    done = here("scan", "-f", broken, *ONLY, "--jq", program)

    assert done.out == out
    assert done.code == 1


def test_standard_input(
    here: Here, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(BROKEN.encode())

    monkeypatch.setattr("sys.stdin", Stdin)

    assert here("scan", "-f", "-", *ONLY, "-o", "json").ids == [CHECK]


@pytest.mark.parametrize("program", ["env", "$ENV", "env.HOME // empty | {home: .}"])
def test_jq_does_not_see_the_environment(here: Here, broken: Path, program: str) -> None:
    done = here("scan", "-f", broken, *ONLY, "--jq", program)

    assert done.code == 1
    assert "PATH" not in done.out
    assert "/" not in done.out


@pytest.mark.parametrize(
    "program", ['import "d" as $d; $d', '# \n include "m"; f', 'module {}; import "m" as m; m::f']
)
def test_jq_reads_no_other_files(here: Here, broken: Path, program: str) -> None:
    done = here("scan", "-f", broken, *ONLY, "--jq", program)

    assert done.code == 2
    assert "import and include are not allowed" in done.err


def test_timings_are_said_on_stderr(here: Here, broken: Path) -> None:
    done = here("scan", "-f", broken, *ONLY, "--timings", "-o", "json")

    assert CHECK in done.err
    assert re.search(r"\d\.\d{3} s( +\d+ MB){1,2}  check$", done.err, re.MULTILINE)
    assert done.ids == [CHECK]


# --- unknown is not absent ------------------------------------------------------------------------


def test_files_without_anything_to_look_at_are_no_alarm_and_no_gap(
    here: Here, healthy: Path
) -> None:
    """A Service alone: no check claims that what it may refer to is missing."""
    report = here("scan", "-f", healthy, "-o", "json", "--min-severity", "medium").report

    assert not report["findings"]
    assert report["summary"]["not_applicable"] > 0


def test_input_without_an_object_is_a_mistake_and_no_healthy_cluster(
    here: Here, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.yaml"
    empty.touch()

    told = here("scan", "-f", empty)
    report = here("scan", "-f", empty, "-o", "json")

    assert (told.code, report.code) == (2, 2)
    assert "Nothing was checked." in told.out
    assert "there is no Kubernetes object in it" in told.err
    assert "there is no Kubernetes object in it" in str(report.report["not_checked"])


# --- the running system -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--logs", "-f", "healthy.yaml"), "--logs asks a running cluster"),
        (("--probe", "tls", "-f", "healthy.yaml"), "--probe asks a running cluster"),
        (("--probe", "tsl"), "--probe: 'tsl' is none of tls, backends"),
        (("--probe", "tls", "--probe-via", "moon"), "--probe-via: 'moon' is none of"),
        (("--probe", "tls", "--probe-allow", "10.0.0.0/99"), "--probe-allow: '10.0.0.0/99'"),
        (("--logs", "--log-lines", "0"), "--log-lines: give a number above 0"),
        (("--logs", "--log-since", "soon"), "--log-since: 'soon' is no duration"),
    ],
)
def test_what_cannot_be_observed_is_a_mistake(
    here: Here,
    healthy: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(healthy.parent)

    done = here("scan", *arguments)

    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1
