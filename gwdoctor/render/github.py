"""The report as annotations of GitHub Actions, and as the summary of a step.

GitHub shows ten errors, ten warnings and ten notices of a step, so the worst come first; all of
them are in the log, and in the summary.
"""

from __future__ import annotations

from collections.abc import Iterable

from gwdoctor.model import Finding, Report, Severity
from gwdoctor.render import words
from gwdoctor.render.words import visible

_COMMANDS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
}


def render(report: Report) -> str:
    """A workflow command a finding, then one for each reason why something was not checked."""
    lines = [_finding(finding) for finding in report.findings]
    lines += [
        _command("warning", group.lines(), title="gwdoctor: not checked")
        for group in words.unseen(report.skips)
    ]
    verdict = f"gwdoctor: {words.where(report.target)}: {words.verdict(report)}"
    # the runner takes ##[ for a command of its older form, wherever in a line it stands
    return "".join(f"{line}\n" for line in (*lines, verdict.replace("##[", "## [")))


def _finding(finding: Finding) -> str:
    where = {}
    if finding.origin:
        where = {"file": finding.origin.file, "line": str(finding.origin.line)}
    title = f"{finding.severity} {finding.id}"
    return _command(_COMMANDS[finding.severity], words.told(finding), **where, title=title)


def _command(name: str, lines: Iterable[str], **properties: str) -> str:
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {told}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    """As the runner's own toolkit escapes a message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
