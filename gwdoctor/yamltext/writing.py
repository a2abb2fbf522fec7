"""From values to text that kubectl, and every YAML 1.1 or 1.2 reader, takes for the same values."""

from __future__ import annotations

from typing import Any

import yaml

from gwdoctor.yamltext.scalars import resolved

#: That of libyaml takes a fifth of the time; it differs in how keys of several lines are written.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Quotes every string that some reader would take for something else; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.representer.SafeRepresenter, text: str) -> yaml.ScalarNode:
    text = text.encode("utf-8", "backslashreplace").decode()  # a file's name may be no text
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
