"""Where in the files that were read a field stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gwdoctor.model import Field, Origin, Ref
from gwdoctor.yamltext.lines import Lines


class Origins:
    """Finds the lines of fields; reads each file that it is asked for once more.

    Args:
        objects: where each object begins.
    """

    def __init__(self, objects: Mapping[Ref, Origin]) -> None:
        self._objects = objects
        self._files: dict[str, Lines | None] = {}

    def of(self, field: Field) -> Origin | None:
        """The file and the line of a field; of JSON and of large files, the line of its object."""
        origin = self._objects.get(field.ref)
        if origin is None:
            return None
        if origin.file not in self._files:
            self._files[origin.file] = _lines(origin.file)
        lines = self._files[origin.file]
        return replace(origin, line=lines.of(origin.line, field.path)) if lines else origin


def _lines(file: str) -> Lines | None:
    """Of a file that is YAML and still there."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
    return None if text.lstrip().startswith(("{", "[")) else Lines(text)
