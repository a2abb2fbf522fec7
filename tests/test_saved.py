"""A report that was saved, read back: nothing is lost, and what is none is told so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import reports
from hypothesis import given, settings
from hypothesis import strategies as st

from gwdoctor.model import Report
from gwdoctor.render.document import document
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.render.saved import BadReport, read
from gwdoctor.render.words import Ending

END = Ending(1, "2 findings at or above high")
STYLES = {
    "for a file": Style(end=END),
    "for a terminal": Style(end=END, width=80, color=True),
    "without fixes": Style(end=END, fixes=False),
}


def saved(report: Report, form: str = "json") -> bytes:
    return FORMATS[form].render(report, STYLES["for a file"]).encode()


@pytest.mark.parametrize("source", ["json", "jsonl"])
@pytest.mark.parametrize("made", reports.KINDS.values(), ids=reports.KINDS)
def test_what_is_read_is_the_document_that_was_written(
    made: Callable[[], Report], source: str
) -> None:
    assert document(read(saved(made(), source))) == document(made())


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("made", reports.KINDS.values(), ids=reports.KINDS)
def test_every_format_of_a_saved_report_is_that_of_the_report(
    made: Callable[[], Report], style: Style, form: str
) -> None:
    render = FORMATS[form].render

    assert render(read(saved(made())), style) == render(made(), style)


@settings(deadline=None, max_examples=60)
@given(text=st.text())
def test_any_text_survives(text: str) -> None:
    whole = document(reports.hostile(text))

    assert document(read(json.dumps(whole).encode())) == whole
    assert document(read(saved(reports.hostile(text), "jsonl"))) == whole


def test_a_report_of_another_version_keeps_its_version_and_what_is_new_is_passed_over() -> None:
    whole = document(reports.full())
    whole["tool"]["version"] = "99.0"
    whole["weather"] = "fine"
    whole["findings"][0]["weather"] = "fine"

    again = document(read(json.dumps(whole).encode()))

    assert again["tool"]["version"] == "99.0"
    assert "weather" not in again
    assert again["findings"] == document(reports.full())["findings"]


def test_lines_that_are_lost_are_missed() -> None:
    lines = saved(reports.full(), "jsonl").splitlines()
    assert len(lines) == 7

    for lost in range(1, len(lines)):
        with pytest.raises(BadReport, match=r"^summary\.\w+: \d, of which|^summary\.\w+: \d find"):
            read(b"\n".join(line for n, line in enumerate(lines) if n != lost))
    with pytest.raises(BadReport, match="has 0 lines of type report instead of one"):
        read(b"\n".join(lines[1:]))
    with pytest.raises(BadReport, match="has 2 lines of type report instead of one"):
        read(b"\n".join([lines[0], *lines]))
    with pytest.raises(BadReport, match="line 3: is no JSON"):
        read(b"\n".join([*lines[:2], lines[2][:-3], *lines[3:]]))
    with pytest.raises(BadReport, match="line 2: is no line of a report"):
        read(b"\n".join([lines[0], b'{"a": 1}', *lines[1:]]))


# --- what is no report ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x1f\x8b\x08", "is compressed"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"{", "line 1: is no JSON"),
        (b'{\n"a": 1,\n]', "line 3: is no JSON"),
        (b"report: 1", "line 1: is no JSON"),
        (b"[]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b"{}", "the field tool.name does not say so"),
        (b'{"version": "2.1.0", "runs": []}', "the field tool.name does not say so"),
        (b'{"gwdoctor_snapshot": 1}', "is a snapshot, no report: scan it with --snapshot"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1e999}', "1e999 is no number"),
        (b'{"a":' * 100_000, "is no JSON"),
        (b"\xef\xbb\xbf{}", "the field tool.name does not say so"),
    ],
)
def test_what_is_no_report_is_told_so(data: bytes, said: str) -> None:
    with pytest.raises(BadReport, match=re.escape(said)):
        read(data)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "version",
            2,
            "version: 2 is newer than 1, the one that this gwdoctor reads; take gwdoctor",
        ),
        ("version", 0, "version: 0 is not 1"),
        ("version", True, "version: true is not 1"),
        ("version", "1", 'version: "1" is not 1'),
        ("version", None, "version: null is not 1"),
        ("tool.name", "other", "the field tool.name"),
        ("time", "yesterday", "time: "),
        ("time", "2026-11-21T12:00:00", "time: "),
        ("time", "2026-11-21T99:00:00Z", "time: "),
        ("target", None, "target: "),
        ("target.namespaces", "*", "target.namespaces: "),
        ("summary.high", "1", "summary.high: "),
        ("summary.high", 7, "summary.high: 7 findings, of which 1 are there"),
        ("summary.not_checked", 7, "summary.not_checked: 7, of which 3 are there"),
        ("summary.seconds", "1 s", "summary.seconds: "),
        ("findings", {}, "findings: "),
        ("findings.1.severity", "fatal", "findings[1].severity: "),
        ("findings.1.confidence", None, "findings[1].confidence: "),
        ("findings.1.id", "x\x1b[2J", "findings[1].id: "),
        ("findings.1.check", "kong/\n", "findings[1].check: "),
        ("findings.1.object", None, "findings[1].object: "),
        ("findings.1.object.name", 5, "findings[1].object.name: "),
        ("findings.0.because.0.path", None, "findings[0].because[0].path: "),
        ("findings.0.fix.disposition", "maybe", "findings[0].fix.disposition: "),
        ("findings.0.fix.manifests.0", [], "findings[0].fix.manifests[0]: "),
        ("findings.0.fix.manifests.1.kind", 5, "findings[0].fix.manifests[1].kind: "),
        ("findings.0.fix.manifests.1.metadata", None, "findings[0].fix.manifests[1].metadata: "),
        ("findings.0.origin.line", "7", "findings[0].origin.line: "),
        ("not_checked.0.check", "\x1b", "not_checked[0].check: "),
        ("not_checked.0.rbac", {"\x1b": 1}, "not_checked[0].rbac"),
        ("checks.run", "all", "checks.run: "),
    ],
)
def test_the_field_that_is_wrong_is_named(path: str, value: Any, said: str) -> None:
    whole = json.loads(saved(reports.full()))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    spot = whole
    for step in steps:
        spot = spot[step]
    spot[last] = value

    with pytest.raises(BadReport) as told:
        read(json.dumps(whole).encode())
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("field", ["target", "summary", "findings", "not_checked"])
def test_a_field_that_lacks_is_named(field: str) -> None:
    whole = json.loads(saved(reports.full()))
    del whole[field]

    with pytest.raises(BadReport, match=f"missing required field `{field}`"):
        read(json.dumps(whole).encode())


def test_a_report_from_before_a_field_was_there_is_read() -> None:
    whole = json.loads(saved(reports.full()))
    del whole["time"]
    del whole["checks"]
    for finding in whole["findings"]:
        del finding["origin"]
    for skip in whole["not_checked"]:
        del skip["problem"]

    report = read(json.dumps(whole).encode())

    assert [finding.id for finding in report.findings] == [f.id for f in reports.full().findings]
    assert (report.time, report.ran) == ("", ())
