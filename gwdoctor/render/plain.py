"""The report as lines: for pipes, logs and files. Never cut, never wrapped."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor.model import Finding, Report
from gwdoctor.render import words
from gwdoctor.render.paint import STYLES, painted
from gwdoctor.render.words import Ending


def render(
    report: Report, end: Ending, *, fixes: bool = True, wide: bool = False, color: bool = False
) -> str:
    """Verdict, findings with their remedies, what was not checked, how it ends."""
    lines = [words.where(report.target), words.verdict(report)]
    for finding in report.findings:
        lines += ["", *_finding(finding, fixes=fixes, wide=wide, color=color)]
    lines += _unseen(report, wide=wide)
    lines += ["", words.ending(end)]
    return "\n".join(lines) + "\n"


def _finding(finding: Finding, *, fixes: bool, wide: bool, color: bool) -> Iterator[str]:
    severity = painted(str(finding.severity), STYLES[finding.severity], color=color)
    spot = words.name(finding.field.ref)
    yield f"{severity}  {finding.id}  {spot}: {words.visible(finding.message)}"
    if wide:
        yield f"  confidence: {finding.confidence}"
        yield f"  path: {words.visible(finding.field.pointer) or '/'}"
    yield from (f"  because: {words.place(other)}" for other in finding.because)
    yield from (f"  evidence: {words.evidence(seen)}" for seen in finding.evidence)
    if fixes:
        yield from (f"  {line}".rstrip() for line in words.remedy(finding))


def _unseen(report: Report, *, wide: bool) -> Iterator[str]:
    groups = words.unseen(report.skips)
    if groups:
        yield ""
    for group in groups:
        what, *rule = group.lines(wide=wide)
        yield f"not checked: {what}"
        yield from (f"  {line}" for line in rule)
