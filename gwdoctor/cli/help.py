"""Help as plain text: options under the headings of their panels, no boxes, no rich.

typer's own needs rich, which takes longer to import than the rest of `--help` together.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from gwdoctor.cli import program

_GENERAL = "General"


class Command(TyperCommand):
    """A command whose options stand under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the panels in the order of their first option."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            is_argument = parameter.param_type_name == "argument"
            panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
            panels.setdefault(panel or _GENERAL, []).append(record)
        general = panels.pop(_GENERAL, [])
        for name, records in [*panels.items(), (_GENERAL, general)]:
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def get_help(self, ctx: Any) -> str:
        """With the commands as the user has to type them."""
        return _as_called(super().get_help(ctx))


class Group(TyperGroup):
    """The commands in the order in which one meets them, not by letter."""

    def get_help(self, ctx: Any) -> str:
        """With the commands as the user has to type them."""
        return _as_called(super().get_help(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """As they were added."""
        return list(self.commands)


def _as_called(text: str) -> str:
    return text.replace("`gwdoctor ", f"`{program.name()} ")
