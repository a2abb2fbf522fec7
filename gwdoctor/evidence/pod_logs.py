"""From the bytes of a log to the few lines of it that mean something, as an object of a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from gwdoctor import kinds
from gwdoctor.evidence.signatures import Match, match
from gwdoctor.evidence.writers import Writer
from gwdoctor.kinds import ContainerLogView, LogLineView, PodLogView
from gwdoctor.model import Metadata, Ref, Resource

#: So many different lines of one container are kept.
MOST = 50
#: What the kubelet puts before each line where timestamps are asked for.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (.*)")


def lines(log: bytes | bytearray, kind: str) -> list[LogLineView]:
    """The lines of one container's log that carry a signature, each kind of it once."""
    seen: dict[tuple[str, ...], LogLineView] = {}
    for stamp, found in _matches(log, kind):
        known = seen.get(found.key)
        if known is None:
            if len(seen) < MOST:
                seen[found.key] = LogLineView(found.text, 1, stamp or None)
            continue
        known.text, known.count, known.last = found.text, (known.count or 0) + 1, stamp or None
    return list(seen.values())


def _matches(log: bytes | bytearray, kind: str) -> Iterator[tuple[str, Match]]:
    for raw in log.split(b"\n"):
        text = raw.decode("utf-8", "replace").rstrip("\r")
        stamped = _STAMP.match(text)
        stamp, text = (f"{stamped[1]}Z", stamped[2]) if stamped else ("", text)
        found = match(text, kind)
        if found is not None:
            yield stamp, found


def resources(kept: Mapping[Writer, Iterable[LogLineView]]) -> list[Resource]:
    """The logs as objects, one a Pod."""
    by_pod: dict[tuple[str, str], list[ContainerLogView]] = {}
    for writer in sorted(kept):
        said = list(kept[writer])
        if said:
            logs = by_pod.setdefault((writer.namespace, writer.pod), [])
            logs.append(ContainerLogView(writer.container, said))
    return [
        Resource(
            Ref(kinds.POD_LOG, namespace, name, "v1"),
            (),
            PodLogView(Metadata(name=name, namespace=namespace), logs),
        )
        for (namespace, name), logs in by_pod.items()
    ]
