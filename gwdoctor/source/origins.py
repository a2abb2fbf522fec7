"""Where in the files that were read a field stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gwdoctor.model import Field, Origin, Ref
from gwdoctor.yamltext.lines import line_of


class Origins:
    """Finds the lines of fields; reads each file that it is asked for once more.

    Args:
        objects: where each object begins.
    """

    def __init__(self, objects: Mapping[Ref, Origin]) -> None:
        self._objects = objects
        self._texts: dict[str, str] = {}

    def of(self, field: Field) -> Origin | None:
        """The file and the line of a field; of JSON and of large files, the line of its object."""
        origin = self._objects.get(field.ref)
        if origin is None:
            return None
        text = self._text(origin.file)
        return replace(origin, line=line_of(text, origin.line, field.path)) if text else origin

    def _text(self, file: str) -> str:
        """What the file holds, if it is YAML and still there."""
        if file not in self._texts:
            try:
                text = Path(file).read_text(encoding="utf-8-sig")
            except (OSError, ValueError):
                text = ""
            self._texts[file] = "" if text.lstrip().startswith(("{", "[")) else text
        return self._texts[file]
