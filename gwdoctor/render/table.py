"""The report as a table for spreadsheets: CSV, one row a finding and one a gap.

What a cluster holds must not become a formula: a cell that a spreadsheet would calculate begins
with an apostrophe instead.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from gwdoctor.model import Finding, Ref, Report, Skip
from gwdoctor.render import words
from gwdoctor.render.words import visible

COLUMNS = (
    "status",
    "severity",
    "confidence",
    "id",
    "check",
    "kind",
    "namespace",
    "name",
    "path",
    "message",
    "fix",
    "disposition",
    "proof",
    "advice",
    "file",
    "line",
)
#: What a spreadsheet takes for the beginning of a formula, also in its wide form.
_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001 - these are meant

#: The most that a cell of a spreadsheet holds; what is longer runs over into other cells.
MOST = 32_767
_CUT = " ... (cut here; -o json has all of it)"


def render(report: Report) -> str:
    """A header and the rows."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for row in (*map(_finding, report.findings), *map(_gap, report.skips)):
        table.writerow({column: _cell(value) for column, value in row.items()})
    return text.getvalue()


def _finding(finding: Finding) -> dict[str, str]:
    row = {
        "status": "finding",
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "id": finding.id,
        "check": finding.check,
        "path": finding.field.pointer,
        "message": finding.message,
        "advice": finding.advice,
    }
    if finding.fix:
        proof = words.proof(finding.fix.proof) if finding.fix.proof else ""
        fix = {"fix": finding.fix.title, "disposition": finding.fix.disposition, "proof": proof}
        row |= fix
    if finding.origin:
        row |= {"file": finding.origin.file, "line": str(finding.origin.line)}
    return row | dict(_object(finding.field.ref))


def _gap(skip: Skip) -> dict[str, str]:
    row = {"status": "not checked", "check": skip.check, "message": skip.reason}
    return row | dict(_object(skip.ref)) if skip.ref else row


def _object(ref: Ref) -> Iterator[tuple[str, str]]:
    yield "kind", str(ref.kind)
    yield "namespace", ref.namespace
    yield "name", ref.name


def _cell(text: str) -> str:
    shown = visible(text)
    if shown.lstrip().startswith(_FORMULA):
        shown = f"'{shown}"
    return shown if len(shown) <= MOST else shown[: MOST - len(_CUT)] + _CUT
