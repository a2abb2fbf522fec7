"""On which line of a text a field stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from gwdoctor.yamltext.reading import chunks

#: A longer document is a dump, which nobody reads by lines, and would take seconds.
LONGEST = 500_000

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Lines:
    """Finds fields in a YAML text; reads each document that it is asked for once.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        self._chunks = list(chunks(text))
        self._objects: dict[int, dict[int, Any]] = {}

    def of(self, first: int, path: tuple[str | int, ...]) -> int:
        """The line of the field at this path, in the object whose mapping starts on line `first`.

        As far as the path leads: where it ends before, the line of the last step that is there.
        """
        for number, (chunk, above) in enumerate(self._chunks):
            if above <= first <= above + chunk.count("\n"):
                if number not in self._objects:
                    self._objects[number] = dict(_objects(chunk))
                node = self._objects[number].get(first - above)
                return _walk(node, above, path) if node is not None else first
        return first


def _objects(chunk: str) -> Iterator[tuple[int, Any]]:
    """Line and node of what may be an object: a document, or an item of one that is a list."""
    if len(chunk) > LONGEST:
        return
    try:
        documents = list(yaml.compose_all(chunk, _LOADER))
    except yaml.YAMLError:
        return
    found = [(int(node.start_mark.line), node) for node in _mappings(documents, depth=3)]
    yield from reversed(found)  # where two begin on one line, the outer one stays


def _mappings(nodes: list[Any], depth: int) -> Iterator[Any]:
    """Mappings, the outer ones first."""
    inner: list[Any] = []
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            yield node
            inner += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inner += node.value
    if inner and depth:
        yield from _mappings(inner, depth - 1)


def _walk(node: Any, above: int, path: tuple[str | int, ...]) -> int:
    line = above + int(node.start_mark.line)
    for step in path:
        found = _step(node, step)
        if found is None:
            break
        key, node = found
        line = above + int(key.start_mark.line)
    return line


def _step(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """What says where the next value begins, its key or itself, and the value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
