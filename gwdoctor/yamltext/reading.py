"""From text to values.

The events of PyYAML's C parser are put together here: its own constructor resolves scalars by
other rules, forgets the lines, takes a key that stands twice, and costs twice the time. Only that
last key is an error here and not for kubectl; for the API server it is one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import yaml

from gwdoctor.yamltext.scalars import resolved

#: The deepest nesting and the largest number of values (aliases counted as often as they are
#: used) that a manifest may have: far above any real one, far below what would hurt.
DEEPEST = 200
MOST_VALUES = 20_000_000

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_ONLY_DIRECTIVES = re.compile(r"(?:\s*(?:[%#].*)?\n)*\s*%.*\s*")


class YamlError(ValueError):
    """Text that is no YAML, or YAML that kubectl would not take; knows its line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


@dataclass(slots=True)
class Document:
    """One document: its value, its first line, and the lines of the mappings near its top."""

    value: Any
    line: int
    lines: dict[int, int] = field(default_factory=dict)  #: by `id()` of the mapping

    def line_of(self, mapping: Any) -> int:
        """The line on which a mapping of this document starts."""
        return self.lines.get(id(mapping), self.line)


def documents(text: str) -> Iterator[Document | YamlError]:
    """The documents of a file, one after the other; a broken one does not hide the next."""
    for chunk, first_line in chunks(text):
        try:
            yield from _Builder(first_line).build(chunk)
        except YamlError as error:
            yield error
        except yaml.MarkedYAMLError as error:
            last = chunk.rstrip().count("\n")  # an end that comes too soon is found behind it
            yield YamlError(_problem(error), first_line + min(_error_line(error), last))
        except yaml.reader.ReaderError as error:
            line = first_line + chunk.count("\n", 0, error.position)
            yield YamlError(f"the character U+{error.character:04X} may not stand there", line)


def chunks(text: str) -> Iterator[tuple[str, int]]:
    """The text cut before each `---`, with the number of its first line."""
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text) if match.start())]
    line, pending, pending_line = 1, "", 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        chunk = text[start:end]
        if not pending:
            pending_line = line
        pending += chunk
        line += chunk.count("\n")
        if end < len(text) and _ONLY_DIRECTIVES.fullmatch(pending):
            continue  # `%YAML 1.2` belongs to the document behind the separator
        yield pending, pending_line
        pending = ""


def _problem(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)


def _error_line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line if mark else 0


class _Builder:
    """Puts the events of one chunk together."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._lines: dict[int, int] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def build(self, chunk: str) -> Iterator[Document]:
        events = yaml.parse(chunk, _LOADER)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._lines, self._anchors, self._count = {}, {}, 0
                first = next(events)
                value = self._value(first, events, 0)
                yield Document(value, self._line(first), self._lines)

    def _line(self, event: Any) -> int:
        return self._first_line + int(event.start_mark.line)

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        if depth > DEEPEST:
            raise YamlError(f"is nested more than {DEEPEST} levels deep", self._line(event))
        before = self._count
        self._count += 1
        value: Any
        match event:
            case yaml.ScalarEvent():
                value = self._scalar(event)
            case yaml.MappingStartEvent():
                self._confirm_tag(event, "map")
                value = self._mapping(event, events, depth)
            case yaml.SequenceStartEvent():
                self._confirm_tag(event, "seq")
                value = []
                while not isinstance(item := next(events), yaml.SequenceEndEvent):
                    value.append(self._value(item, events, depth + 1))
            case _:
                return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _alias(self, event: Any) -> Any:
        try:
            value, size = self._anchors[event.anchor]
        except KeyError:
            raise YamlError(f"alias *{event.anchor} has no anchor", self._line(event)) from None
        self._count += size
        if self._count > MOST_VALUES:
            raise YamlError("its aliases unfold to too many values", self._line(event))
        return value

    def _mapping(self, start: Any, events: Iterator[Any], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        if depth <= 2:
            self._lines[id(mapping)] = self._line(start)
        own: set[str] = set()
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if _is_merge(event):
                value = self._value(next(events), events, depth + 1)
                self._merge(mapping, value, event)
                continue
            key = self._key(event)
            if key in own:
                raise YamlError(f"the key {key!r} stands twice in one mapping", self._line(event))
            own.add(key)
            mapping[key] = self._value(next(events), events, depth + 1)
        return mapping

    def _merge(self, mapping: dict[str, Any], value: Any, event: Any) -> None:
        sources = reversed(value) if isinstance(value, list) else [value]
        for source in sources:
            if not isinstance(source, dict):
                raise YamlError("a merge key (<<) needs a mapping", self._line(event))
            mapping.update(source)

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlError("a key must be a string", self._line(event))
        key = self._scalar(event)
        if key is None:
            raise YamlError("a key must be a string, not null", self._line(event))
        return str(key).lower() if isinstance(key, bool) else str(key)

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            value = resolved(text) if event.implicit[0] and tag is None else text
        else:
            value = self._tagged(event)
        if isinstance(value, float) and not isfinite(value):
            raise YamlError(f"{text} is no number that JSON can hold", self._line(event))
        return value

    def _confirm_tag(self, event: Any, plain: str) -> None:
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{plain}"):
            raise YamlError(f"the tag {event.tag} cannot be read here", self._line(event))

    def _tagged(self, event: Any) -> Any:
        name = event.tag.removeprefix("tag:yaml.org,2002:")
        value = resolved(event.value)
        match name:
            case "str":
                return event.value
            case "int" | "float" if isinstance(value, int | float) and not isinstance(value, bool):
                return value
            case "bool" if isinstance(value, bool):
                return value
            case "null" if value is None:
                return None
            case "binary":
                try:
                    return base64.b64decode("".join(event.value.split()), validate=True).decode()
                except (binascii.Error, UnicodeDecodeError):
                    pass
        raise YamlError(f"the tag {event.tag} cannot be read here", self._line(event))


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
