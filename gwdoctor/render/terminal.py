"""The report on a terminal: a table of the findings, then the way out of each.

Nothing from a cluster is ever parsed as markup: texts are `Text`, made visible before.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gwdoctor.model import Finding, Report
from gwdoctor.render import words
from gwdoctor.render.paint import STYLES
from gwdoctor.render.words import Ending

#: What a message needs at least to stand in a column of its own.
_MESSAGE = 40


def render(
    report: Report,
    end: Ending,
    *,
    width: int,
    fixes: bool = True,
    wide: bool = False,
    color: bool = False,
) -> str:
    """Verdict, table, remedies, what was not checked, how it ends."""
    longest_id = max((len(finding.id) for finding in report.findings), default=0)
    # an id is never cut: rather the line overruns; so does every line of a wide table
    console = _console(10_000 if wide else max(width, longest_id + 12), color=color)
    _print(console, Text(words.where(report.target), style="dim"))
    _print(console, Text(words.verdict(report), style="bold"))
    if report.findings:
        console.print()
        console.print(_table(report.findings, width, wide=wide))
    if fixes:
        for finding in report.findings:
            _remedy(console, finding)
    _unseen(console, report, wide=wide)
    console.print()
    _print(console, Text(words.ending(end), style="dim"))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    return "".join(line.rstrip(" ") + "\n" for line in text.splitlines())


def _console(width: int, *, color: bool) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )


def _print(console: Console, text: Text) -> None:
    """Folded at words; what has no space to fold at stays whole and may overrun."""
    console.print(text, overflow="fold")


def _table(findings: Iterable[Finding], width: int, *, wide: bool) -> Table:
    """A column each where there is room, else the message under the id."""
    findings = tuple(findings)
    longest_id = max(len(finding.id) for finding in findings)
    longest_spot = max(len(words.name(finding.field.ref)) for finding in findings)
    roomy = wide or width >= 8 + 2 + longest_id + 2 + longest_spot + 2 + _MESSAGE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("SEVERITY", no_wrap=True)
    if wide:
        table.add_column("CONFIDENCE", no_wrap=True)
    table.add_column("FINDING", overflow="fold", no_wrap=roomy)
    if roomy:
        table.add_column("OBJECT", overflow="fold")
        if wide:
            table.add_column("PATH", overflow="fold")
        table.add_column("MESSAGE", overflow="fold")
        if wide:
            table.add_column("BECAUSE", overflow="fold")
    for finding in findings:
        table.add_row(*_cells(finding, roomy=roomy, wide=wide))
    return table


def _cells(finding: Finding, *, roomy: bool, wide: bool) -> list[Text]:
    severity = Text(str(finding.severity), style=STYLES[finding.severity])
    spot, message = words.name(finding.field.ref), words.visible(finding.message)
    if not roomy:
        return [severity, Text.assemble((finding.id, "bold"), f"\n{spot}\n{message}")]
    if not wide:
        return [severity, Text(finding.id), Text(spot), Text(message)]
    because = "\n".join(words.place(other) for other in finding.because)
    path = words.visible(finding.field.pointer)
    texts = (str(finding.confidence), finding.id, spot, path, message, because)
    return [severity, *map(Text, texts)]


def _remedy(console: Console, finding: Finding) -> None:
    lines = [f"because: {words.place(other)}" for other in finding.because]
    lines += [f"evidence: {words.evidence(seen)}" for seen in finding.evidence]
    lines += words.remedy(finding)
    if not lines:
        return
    console.print()
    _print(console, Text(finding.id, style="bold"))
    for line in lines:
        if line.startswith(" "):  # to be copied: as it is, not folded
            console.print(Text(f"  {line}"), soft_wrap=True)
        else:
            console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))


def _unseen(console: Console, report: Report, *, wide: bool) -> None:
    groups = words.unseen(report.skips)
    if not groups:
        return
    console.print()
    _print(console, Text("NOT CHECKED", style="bold"))
    for group in groups:
        about = f" [{', '.join(group.objects)}]" if group.objects else ""
        console.print(Padding(Text(f"{group.reason}{about}", overflow="fold"), (0, 0, 0, 2)))
        if group.checks:
            text = Text(group.told_checks(wide=wide), style="dim", overflow="fold")
            console.print(Padding(text, (0, 0, 0, 4)))
        if group.rule:
            text = Text(f"a role with this rule shows it: {{{group.rule}}}", overflow="fold")
            console.print(Padding(text, (0, 0, 0, 4)))
