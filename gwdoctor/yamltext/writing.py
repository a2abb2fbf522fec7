"""From values to text that kubectl, and every YAML 1.1 or 1.2 reader, takes for the same values."""

from __future__ import annotations

from typing import Any

import yaml

from gwdoctor.yamltext.scalars import resolved


class _Dumper(yaml.SafeDumper):
    """Quotes every string that some reader would take for something else; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text and _fits_a_block(text):
        style = "|"
    elif not isinstance(resolved(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _fits_a_block(text: str) -> bool:
    """Whether a literal block shows this text as it is."""
    lines = text.splitlines()
    return text.isprintable() or (
        all(line.isprintable() and line == line.rstrip() for line in lines)
        and not lines[0].startswith(" ")
        and "\r" not in text
    )


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """One document, block style, in the order of its keys. ASCII only: anything else is escaped."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10_000
    )
    return text
