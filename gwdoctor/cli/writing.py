"""The report in the format that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gwdoctor.cli import jqfilter, stdout, values
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Output
from gwdoctor.model import Report
from gwdoctor.render.words import Ending, visible

FORMATS = ["text", "wide", "json", "yaml"]


@dataclass(frozen=True)
class Writer:
    """Writes reports as the options say. They are checked when it is made: before the scan."""

    format: str
    fixes: bool
    color: bool
    program: Any

    @classmethod
    def of(cls, given: Output) -> Writer:
        """Raises Mistake for options that do not fit."""
        default = "json" if given.jq is not None else "text"
        form = values.one_of(given.output or default, FORMATS, "-o")
        if given.jq is not None and form != "json":
            raise Mistake(f"--jq works on JSON: leave out -o {form}")
        when = values.one_of(given.color, ["auto", "always", "never"], "--color")
        return cls(
            form,
            not given.no_fixes,
            stdout.wants_color(when),
            None if given.jq is None else jqfilter.compiled(given.jq),
        )

    def write(self, report: Report, end: Ending) -> None:
        """To stdout."""
        stdout.write(self.text(report, end))

    def text(self, report: Report, end: Ending) -> str:
        """The report as it is written."""
        if self.format in ("json", "yaml"):
            return self._for_programs(report)
        wide = self.format == "wide"
        if stdout.is_terminal():
            from gwdoctor.render import terminal

            return terminal.render(
                report, end, width=stdout.width(), fixes=self.fixes, wide=wide, color=self.color
            )
        from gwdoctor.render import plain

        return plain.render(report, end, fixes=self.fixes, wide=wide, color=self.color)

    def _for_programs(self, report: Report) -> str:
        from gwdoctor.render import machine
        from gwdoctor.render.document import document

        whole = document(report)
        if self.program is not None:
            text = jqfilter.filtered(self.program, whole)
            if stdout.is_terminal():
                return "".join(f"{visible(line)}\n" for line in text.split("\n")[:-1])
            return text
        return machine.as_json(whole) if self.format == "json" else machine.as_yaml(whole)
