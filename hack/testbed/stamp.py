"""Writes objects into etcd as the API server would have written them, for a sixth of the cost.

The API server has written the objects of one namespace. What it stores of another namespace's like
objects differs from that in the same places as what was posted does, and in the uids. So these texts
are exchanged in the stored bytes, keys included; each has the length of the one that it replaces, so
that lengths in protobuf stay right. The API server serves the result like anything else that came
into etcd by the hand of another API server: through its watch.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.client import Manifest
from testbed.etcd import Store

_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What the API server says of the objects is not the objects.
_EVENTS = b"/registry/events/"
Texts = Mapping[bytes, bytes]


@dataclass(frozen=True)
class _Mould:
    key: bytes
    value: bytes
    texts: tuple[bytes, ...]  #: those of its namespace that stand in either


class Stamp:
    """The stored objects of one namespace, to make others from.

    Args:
        store: where they are, written by the API server.
        namespace: its name.
        posted: what was posted to make them.
        other: what would be posted for another one: says what differs between any two.
    """

    def __init__(
        self, store: Store, namespace: str, posted: list[Manifest], other: list[Manifest]
    ) -> None:
        self._store = store
        self._namespace = namespace.encode()
        self._posted = posted
        texts = tuple(self._texts(other))
        places = set(texts)
        stored = store.keys()
        keys = [
            key
            for key in stored
            if not places.isdisjoint(key.split(b"/")) and not key.startswith(_EVENTS)
        ]
        self._moulds = [
            _Mould(key, value, tuple(text for text in texts if text in key or text in value))
            for key, value in store.values(keys)
        ]

    def write(self, wanted: list[Manifest]) -> int:
        """Store what the API server would make of these, and return how many entries that took."""
        texts = self._texts(wanted)
        return self._store.put(self._stamped(texts))

    def _stamped(self, texts: Texts) -> Iterator[tuple[bytes, bytes]]:
        for mould in self._moulds:
            key, value = mould.key, mould.value
            for text in mould.texts:
                key = key.replace(text, texts.get(text, text))
                value = value.replace(text, texts.get(text, text))
            for uid in set(_UID.findall(value)):
                value = value.replace(uid, str(uuid.uuid4()).encode())
            yield key, value

    def _texts(self, wanted: list[Manifest]) -> Texts:
        """Which texts of the posted objects are which of the wanted ones; the namespace last."""
        name = wanted[0]["metadata"]["name"].encode()
        found = {
            old: new
            for before, after in zip(self._posted, wanted, strict=True)
            for old, new in _differences(before, after)
            if old.replace(self._namespace, name) != new
        }
        found[self._namespace] = name
        for old, new in found.items():
            if len(old) != len(new):
                raise ValueError(f"{old!r} and {new!r} are not of one length")
        return found


def _differences(
    before: Any, after: Any, *, encoded: bool = False
) -> Iterator[tuple[bytes, bytes]]:
    """The leaves that differ; what is in the data of a Secret as etcd has it, decoded."""
    if isinstance(before, dict):
        for key, value in before.items():
            inside = key == "data" and before.get("kind") == "Secret"
            yield from _differences(value, after[key], encoded=encoded or inside)
    elif isinstance(before, list):
        for one, other in zip(before, after, strict=True):
            yield from _differences(one, other, encoded=encoded)
    elif before != after:
        pair = (before, after)
        if encoded:
            yield base64.b64decode(pair[0]), base64.b64decode(pair[1])
        else:
            yield str(pair[0]).encode(), str(pair[1]).encode()
