"""Every format that a report can be written in. This list is the only one: help, errors,
completion, the README and the tests take it from here.

A new format is a module with a function from `Report` to `str`, and one line below. Nothing heavy
is imported here, and the module of a format when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwdoctor.model import Report
    from gwdoctor.render.words import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a report is shown, beside what it says."""

    end: Ending
    fixes: bool = True
    color: bool = False
    width: int | None = None  #: columns of the terminal that it is for; None: for no terminal


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    name: str
    about: str  #: a few words for help and README
    place: str  #: `module:function` in gwdoctor.render
    styled: bool = False  #: the function takes a Style, too
    draws: bool = False  #: it shows the map, so that has to be read and made

    def render(self, report: Report, style: Style) -> str:
        """The report in this format."""
        module, _, function = self.place.partition(":")
        render: Any = getattr(import_module(f"gwdoctor.render.{module}"), function)
        text: str = render(report, style) if self.styled else render(report)
        return text


FORMATS = {
    form.name: form
    for form in (
        Format("text", "lines; on a terminal a table", "text:short", styled=True),
        Format("wide", "text with confidence, path and every name", "text:wide", styled=True),
        Format("json", "one document, version 1", "machine:report_as_json"),
        Format("jsonl", "JSON lines, one a finding, for logs", "machine:report_as_jsonl"),
        Format("yaml", "the document of json", "machine:report_as_yaml"),
        Format("html", "one page, to open in a browser", "html:render", styled=True, draws=True),
        Format("markdown", "for a merge request or a chat", "markdown:render", styled=True),
        Format("sarif", "SARIF 2.1.0, for code scanning", "sarif:render", styled=True),
        Format("junit", "XML for a CI: a test case a check", "junit:render"),
        Format("github", "annotations, and the summary of a step", "github:render"),
        Format("csv", "a table for spreadsheets", "table:render"),
        Format("openmetrics", "metrics for Prometheus", "openmetrics:render"),
        Format("openreports", "Report objects, for kubectl apply", "openreports:render"),
    )
}


def names() -> str:
    """All of them, for a sentence."""
    return ", ".join(FORMATS)
