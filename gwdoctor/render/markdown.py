"""The report as Markdown: for the summary of a CI run, a merge request, a chat.

What a cluster holds is text there, never markup: no link, no image, no HTML, and nobody is
mentioned. Tables and fences are those of GitHub and GitLab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from gwdoctor import changes
from gwdoctor.model import Finding, Fix, Report
from gwdoctor.render import words
from gwdoctor.render.formats import Style
from gwdoctor.render.words import visible
from gwdoctor.yamltext.writing import dump

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&$!])")
#: What GitHub makes of plain text when no markup is left: mentions and links.
_LIVE = re.compile(r"@|://|www\.", re.IGNORECASE)
#: What makes a list of the text of a list.
_FIRST = re.compile(r"^(\d*)([-+.)])")
_TICKS = re.compile(r"`+")


def render(report: Report, style: Style) -> str:
    """Verdict, table, the way out of each finding, what was not checked, how it ends."""
    return "".join(f"{line}\n" for line in _lines(report, style))


def within(report: Report, style: Style, most: int) -> str:
    """The same in at most so many bytes: without remedies, or cut, where it is too long."""
    for fixes in (style.fixes, False):
        whole = render(report, replace(style, fixes=fixes))
        if len(_bytes(whole)) <= most:
            return whole
    tail = f"\n_And more: the report is too long for here._\n\n{_end(style)}\n"
    kept, size = [], len(_bytes(tail))
    for line in whole.splitlines(keepends=True):  # without remedies, every line stands alone
        size += len(_bytes(line))
        if size > most:
            break
        kept.append(line)
    return "".join(kept) + tail


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _lines(report: Report, style: Style) -> Iterator[str]:
    yield from _head(report)
    if report.findings:
        yield ""
        yield from _table(report)
        yield ""
        yield "## Findings"
    for finding in report.findings:
        yield ""
        yield from _finding(finding, fixes=style.fixes)
    groups = words.unseen(report.skips)
    if groups:
        yield ""
        yield "## Not checked"
        yield ""
    for group in groups:
        yield f"- {'; '.join(map(_text, group.lines()))}"
    yield ""
    yield _end(style)


def _head(report: Report) -> Iterator[str]:
    yield f"# {_text(words.verdict(report))}"
    yield ""
    yield f"gwdoctor, {_text(words.where(report.target))}"


def _end(style: Style) -> str:
    return _text(words.ending(style.end))


def _table(report: Report) -> Iterator[str]:
    yield "| Severity | Finding | Object | Message |"
    yield "|---|---|---|---|"
    for finding in report.findings:
        spot, message = words.name(finding.field.ref), visible(finding.message)
        yield f"| {finding.severity} | `{finding.id}` | {_cell(spot)} | {_cell(message)} |"


def _finding(finding: Finding, *, fixes: bool) -> Iterator[str]:
    yield f"### `{finding.id}`"
    yield ""
    yield f"**{finding.severity}**, {finding.confidence}. {_text(visible(finding.message))}"
    yield ""
    yield f"- object: {_text(words.place(finding.field))}"
    if finding.origin:
        yield f"- file: {_text(visible(f'{finding.origin.file}:{finding.origin.line}'))}"
    yield from (f"- because: {_text(words.place(other))}" for other in finding.because)
    yield from (f"- evidence: {_text(words.evidence(seen))}" for seen in finding.evidence)
    if finding.fix is None:
        if finding.advice:
            yield f"- decide: {_text(visible(finding.advice))}"
        return
    yield f"- fix ({finding.fix.disposition}): {_text(visible(finding.fix.title))}"
    if finding.fix.proof is not None:
        yield f"- {_text(words.proof(finding.fix.proof))}"
    if finding.advice:
        yield f"- note: {_text(visible(finding.advice))}"
    if fixes:
        yield from _remedy(finding, finding.fix)


def _remedy(finding: Finding, fix: Fix) -> Iterator[str]:
    manifests = changes.manifests(fix)
    if manifests:
        body = "---\n".join(map(dump, manifests))
        yield ""
        yield from _fenced("yaml", f"# {changes.apply_command(finding.id)}\n{body}")
    commands = changes.commands(fix)
    if commands:
        yield ""
        yield from _fenced("sh", "".join(f"{visible(command)}\n" for command in commands))


def _fenced(language: str, text: str) -> Iterator[str]:
    """A block of code, between fences that do not occur in it."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    yield f"{fence}{language}"
    yield from text.splitlines()
    yield fence


def _text(text: str) -> str:
    """Text without line ends, as text: its markup escaped; as code where escaping is no help."""
    if not _LIVE.search(text):
        return _FIRST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", text.lstrip()))
    ticks = "`" * (_longest_ticks(text) + 1)
    return f"{ticks} {text} {ticks}" if len(ticks) > 1 else f"`{text}`"


def _cell(text: str) -> str:
    """The same in a table, which is cut at every bare `|`, also within code."""
    told = _text(text)
    return told.replace("|", r"\|") if told.startswith("`") else told


def _longest_ticks(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)
