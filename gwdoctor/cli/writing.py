"""The report in the formats that were asked for, where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gwdoctor import wholefile
from gwdoctor.cli import jqfilter, stdout, stepsummary, values
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Output
from gwdoctor.cli.outputs import Sink, sinks
from gwdoctor.cli.talk import Talk
from gwdoctor.model import Report
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.render.words import Ending, visible


@dataclass(frozen=True)
class Writer:
    """Writes reports as the options say. They are checked when it is made: before the scan."""

    sinks: tuple[Sink, ...]
    fixes: bool
    color: str
    program: Any

    @classmethod
    def of(cls, given: Output) -> Writer:
        """Raises Mistake for options that do not fit, and for files that cannot be written."""
        asked = sinks(given.output or ())
        to_stdout = [sink.format.name for sink in asked if sink.file is None]
        if given.jq is not None and to_stdout not in ([], ["json"]):
            raise Mistake(f"--jq works on JSON: leave out -o {to_stdout[0]}")
        if given.jq is not None and not to_stdout:
            asked = (*asked, Sink(FORMATS["json"]))
        color = values.one_of(given.color, ["auto", "always", "never"], "--color")
        return cls(
            asked or (Sink(FORMATS["text"]),),
            not given.no_fixes,
            color,
            None if given.jq is None else jqfilter.compiled(given.jq),
        )

    @property
    def draws(self) -> bool:
        """Whether some format shows the map of requests."""
        return any(sink.format.draws for sink in self.sinks)

    def write(self, report: Report, end: Ending, talk: Talk) -> None:
        """The files first: they are there even if whoever reads stdout has gone.

        A file that cannot be written costs nobody the other ones. Raises Mistake for it at the end.
        """
        failed = []
        for sink in self.sinks:
            if sink.file is not None:
                # text in a file is ASCII or UTF-8; half of a surrogate pair is escaped
                data = self._in_file(sink, report, end).encode("utf-8", "backslashreplace")
                try:
                    wholefile.write(sink.file, data)
                except OSError as error:
                    failed.append(f"{sink.file}: {error.strerror}")
        if any(sink.format.name == "github" for sink in self.sinks):
            failed += stepsummary.append(report, Style(end=end, fixes=self.fixes))
        on_stdout = [sink for sink in self.sinks if sink.file is None]
        for sink in on_stdout:
            stdout.write(self._on_stdout(sink, report, end))
        if failed:
            raise Mistake(f"-o: {'; '.join(failed)}")
        if not on_stdout:
            files = ", ".join(sink.file for sink in self.sinks if sink.file is not None)
            talk.warn(f"the report is in {files}; exit {end.code}: {end.reason}")

    def _in_file(self, sink: Sink, report: Report, end: Ending) -> str:
        style = Style(end=end, fixes=self.fixes, color=self.color == "always")
        return sink.format.render(report, style)

    def _on_stdout(self, sink: Sink, report: Report, end: Ending) -> str:
        if self.program is not None:
            return self._filtered(report)
        width = stdout.width() if stdout.is_terminal() else None
        color = stdout.wants_color(self.color)
        style = Style(end=end, fixes=self.fixes, color=color, width=width)
        return sink.format.render(report, style)

    def _filtered(self, report: Report) -> str:
        from gwdoctor.render.document import document

        text = jqfilter.filtered(self.program, document(report))
        if stdout.is_terminal():
            return "".join(f"{visible(line)}\n" for line in text.split("\n")[:-1])
        return text
