"""JSON documents: one, or several one after the other (`jq` output, JSON lines)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

#: Bytes of a value to search for: preparing a search for all of it costs more than its decoding.
_ENOUGH = 64


class JsonError(ValueError):
    """Text that is no JSON; knows its line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class Place(msgspec.Struct):
    """Of metadata what says where an object lives."""

    name: str | None = None
    namespace: str | None = None


class Head(msgspec.Struct):
    """The beginning of an object, and of a List its items, not decoded yet."""

    apiVersion: str | None = None  # noqa: N815
    kind: str | None = None
    metadata: Place | None = None
    items: list[msgspec.Raw] | None = None


class Lines:
    """Finds the line of raw values that are asked for in the order of the text."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0
        self._line = 1

    def of(self, raw: msgspec.Raw) -> int:
        """The line on which this value starts."""
        value = bytes(raw)
        found = self._data.find(value[:_ENOUGH], self._offset)
        while found >= 0 and not self._data.startswith(value, found):
            found = self._data.find(value[:_ENOUGH], found + 1)
        if found >= 0:
            self._line += self._data.count(b"\n", self._offset, found)
            self._offset = found
        return self._line


def documents(data: bytes) -> Iterator[msgspec.Raw]:
    """The documents of a file; raises JsonError at the first thing that is no JSON."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        yield from _stream(data)
    else:
        yield msgspec.Raw(data)


def _stream(data: bytes) -> Iterator[msgspec.Raw]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonError("it is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            _, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise JsonError(error.msg, error.lineno) from None
        except RecursionError:
            line = text.count("\n", 0, position) + 1
            raise JsonError("it is nested too deeply", line) from None
        yield msgspec.Raw(text[position:end].encode("utf-8", "surrogatepass"))
        position = end
