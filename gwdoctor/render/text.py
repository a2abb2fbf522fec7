"""The formats for people: a table where a terminal is, lines everywhere else."""

from __future__ import annotations

from gwdoctor.model import Report
from gwdoctor.render.formats import Style


def short(report: Report, style: Style) -> str:
    """What one has to know."""
    return _text(report, style, wide=False)


def wide(report: Report, style: Style) -> str:
    """The same, and how sure, where exactly, and every check by name."""
    return _text(report, style, wide=True)


def _text(report: Report, style: Style, *, wide: bool) -> str:
    if style.width is None:
        from gwdoctor.render import plain

        return plain.render(report, style.end, fixes=style.fixes, wide=wide, color=style.color)
    from gwdoctor.render import terminal

    return terminal.render(
        report,
        style.end,
        width=style.width,
        fixes=style.fixes,
        wide=wide,
        color=style.color,
    )
