"""On which line of a text a field stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from gwdoctor.yamltext.reading import chunks

#: A longer document is a dump, which nobody reads by lines, and would take seconds.
LONGEST = 500_000

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def line_of(text: str, first: int, path: tuple[str | int, ...]) -> int:
    """The line of the field at this path, in the object whose mapping starts on line `first`.

    As far as the path leads: where it ends before, the line of the last step that is there.
    """
    node, above = _object(text, first)
    line = first
    for step in path:
        found = _step(node, step)
        if found is None:
            return line
        key, node = found
        line = above + int(key.start_mark.line)
    return line


def _object(text: str, first: int) -> tuple[Any, int]:
    """The node that starts on this line, and the number of the first line of its document."""
    for chunk, above in chunks(text):
        if not above <= first <= above + chunk.count("\n"):
            continue
        if len(chunk) > LONGEST:
            break
        try:
            documents = list(yaml.compose_all(chunk, _LOADER))
        except yaml.YAMLError:
            break
        for node in _mappings(documents, depth=3):
            if above + int(node.start_mark.line) == first:
                return node, above
    return None, first


def _mappings(nodes: list[Any], depth: int) -> Iterator[Any]:
    """The documents, and the objects of those that are lists: outer ones first."""
    inner: list[Any] = []
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            yield node
            inner += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inner += node.value
    if inner and depth:
        yield from _mappings(inner, depth - 1)


def _step(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """What says where the next value begins, its key or itself, and the value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
