"""The last runs in a ConfigMap: what the next run is compared with, and whole reports to look at.

`summary` is for people, `memory.json.gz` for the next run, `run-TIME.json.gz` are reports of
version 1, the newest last. Server-side apply takes away the runs that are no longer told.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from gwdoctor.delivery import history, summary
from gwdoctor.delivery.history import Memory, News
from gwdoctor.model import Report
from gwdoctor.render.document import document

Manifest = dict[str, Any]

MEMORY = "memory.json.gz"
#: The API server takes 1 MiB in all; the rest is for names.
MOST_BYTES = 900_000
#: What a memory may unpack to: whoever may write there could put a bomb there.
MOST_UNPACKED = 16 << 20
_RUN, _END = "run-", ".json.gz"


def manifest(
    name: str,
    namespace: str,
    report: Report,
    news: News,
    memory: Memory,
    *,
    before: Mapping[str, Any] | None,
    keep: int,
) -> Manifest:
    """The ConfigMap after this run; `before` is the one that is there."""
    text = summary.termination_message(report, news)
    packed_memory = _packed(history.encoded(memory))
    runs = {_key(news): _fitting(report, news, MOST_BYTES - len(packed_memory) - len(text))}
    left = MOST_BYTES - len(packed_memory) - len(text) - sum(map(len, runs.values()))
    for key, data in _runs(before):
        if len(runs) >= keep or len(data) > left:
            break
        if key not in runs:
            runs[key] = data
            left -= len(data)
    binary = {MEMORY: packed_memory, **dict(sorted(runs.items()))}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"summary": text},
        "binaryData": {key: base64.b64encode(data).decode() for key, data in binary.items()},
    }


def memory_of(config_map: Mapping[str, Any]) -> Memory | None:
    """What a ConfigMap remembers; None where it holds none that can be read."""
    packed = _binary(config_map).get(MEMORY)
    return None if packed is None else history.decoded(_unpacked(packed))


def run_document(report: Report, news: News) -> Manifest:
    """A report of version 1, and what is new in it."""
    return {
        **document(report),
        "history": {
            "taken": news.memory.taken,
            "since": news.since or None,
            "new": [finding.id for finding in news.new],
            "fixed": [known.id for known in news.fixed],
            "not_looked_at": [known.id for known in news.unknown],
            "first_seen": dict(news.first_seen),
        },
    }


def _key(news: News) -> str:
    """A key of a ConfigMap may hold no colon."""
    return f"{_RUN}{news.memory.taken.replace(':', '')}{_END}"


def _fitting(report: Report, news: News, room: int) -> bytes:
    """The report as large as there is room for: whole, without the map, without the fixes, or its
    counts alone."""
    whole = run_document(report, news)
    plain = {key: value for key, value in whole.items() if key != "entry"}
    slim = {
        **plain,
        "findings": [{**f, "fix": None, "because": [], "evidence": []} for f in plain["findings"]],
    }
    counts = {**plain, "findings": [], "not_checked": [], "history": None}
    for form in (whole, plain, slim):
        packed = _packed(json.dumps(form, separators=(",", ":")).encode())
        if len(packed) <= room:
            return packed
    return _packed(json.dumps(counts, separators=(",", ":")).encode())


def _runs(before: Mapping[str, Any] | None) -> Iterator[tuple[str, bytes]]:
    """The runs that are there, the newest first."""
    for key, data in sorted(_binary(before or {}).items(), reverse=True):
        if key.startswith(_RUN) and key.endswith(_END):
            yield key, data


def _binary(config_map: Mapping[str, Any]) -> dict[str, bytes]:
    data = config_map.get("binaryData")
    found: dict[str, bytes] = {}
    for key, text in data.items() if isinstance(data, dict) else ():
        try:
            found[str(key)] = base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            continue
    return found


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _unpacked(packed: bytes) -> bytes:
    """Empty where it is broken or too large."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, MOST_UNPACKED)
    except zlib.error:
        return b""
    return data if unpacker.eof else b""
