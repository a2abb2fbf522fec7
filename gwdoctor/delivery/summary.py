"""The report in a few lines: for `kubectl describe pod`, a ConfigMap, and messages."""

from __future__ import annotations

from gwdoctor.delivery.history import Known, News
from gwdoctor.model import Finding, Report
from gwdoctor.render.words import count, verdict, visible

#: The kubelet keeps so many bytes of a termination message, the last ones.
TERMINATION_BYTES = 4096
_LINE = 300


def termination_message(report: Report, news: News) -> str:
    """The verdict, what changed, and as many findings, the worst first, as there is room for."""
    new = set() if news.is_first else {finding.id for finding in news.new}
    return fitted(
        [headline(report), *changed(news)],
        [line(finding, is_new=finding.id in new) for finding in report.findings],
        TERMINATION_BYTES,
    )


def headline(report: Report) -> str:
    """The verdict, and what was not checked."""
    checks = {skip.check for skip in report.skips if skip.check}
    blind = f" {count(len(checks), 'check')} could not see everything." if checks else ""
    cut = " The deadline came first." if report.incomplete else ""
    return f"gwdoctor: {verdict(report)}{blind}{cut}"


def changed(news: News) -> list[str]:
    """One line on what is new and fixed; none for the first report."""
    if news.is_first:
        return []
    line = f"{len(news.new)} new, {len(news.fixed)} fixed since {visible(news.since)}"
    line += f"; {len(news.still)} still there"
    if news.unknown:
        line += f", {len(news.unknown)} could not be looked at again"
    return [line]


def line(finding: Finding, *, is_new: bool = False) -> str:
    """One finding."""
    mark = "new " if is_new else ""
    text = f"{mark}{finding.severity} {finding.id} {finding.field.ref}: {finding.message}"
    return cut(visible(text))


def fixed_line(known: Known) -> str:
    """One that is gone."""
    return cut(visible(f"fixed {known.id} {known.object}: {known.title}"))


def cut(text: str, most: int = _LINE) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def fitted(head: list[str], lines: list[str], most: int) -> str:
    """Whole lines, at most so many bytes; what is left out is counted."""
    text = "".join(f"{one}\n" for one in head)
    for number, one in enumerate(lines):
        left = len(lines) - number - 1
        rest = f"and {left} more\n" if left else ""
        if len((text + one + "\n" + rest).encode()) > most:
            text += f"and {left + 1} more\n"
            break
        text += f"{one}\n"
    return text.encode()[:most].decode("utf-8", "ignore")
