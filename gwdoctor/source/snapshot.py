"""A cluster as it was seen, in a file: gzip of JSON, of what a scan reads and nothing else.

Of Secrets it holds what a scan keeps of them: the certificates, never data.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gwdoctor import privatekeys, wholefile
from gwdoctor.kinds import OURS, READINGS
from gwdoctor.model import Gap, Kind, Ref, Resource, Target
from gwdoctor.source import decode
from gwdoctor.source.batch import Batch, Want
from gwdoctor.version import __version__

FORMAT = 1
#: Unpacked, a snapshot may be so large: several times what the largest cluster needs.
MOST_BYTES = 1 << 30


class BadSnapshot(ValueError):
    """A file that is no snapshot, or one that cannot be read; the text says why."""


class _Kind(msgspec.Struct, omit_defaults=True):
    name: str
    group: str = ""
    facet: str = ""

    @classmethod
    def of(cls, kind: Kind) -> _Kind:
        return cls(kind.name, kind.group, kind.facet)

    def kind(self) -> Kind:
        return Kind(self.name, self.group, self.facet)


class _Object(msgspec.Struct):
    version: str
    view: msgspec.Raw


class _Listed(msgspec.Struct, omit_defaults=True):
    """What was seen of one kind."""

    kind: _Kind
    version: str = ""  #: that the server serves
    is_missing: bool = False
    by_reference: bool = False
    namespaces_read: list[str] = []  #: beside those of the whole snapshot
    absent: list[tuple[str, str]] = []  #: (namespace, name)
    objects: list[_Object] = []


class _Gap(msgspec.Struct, omit_defaults=True):
    kind: _Kind
    reason: str
    namespace: str = ""
    name: str = ""
    rbac: dict[str, list[str]] | None = None
    claimed: bool = True


class _Target(msgspec.Struct, omit_defaults=True):
    context: str = ""
    server: str = ""
    user: str = ""
    namespaces: list[str] = msgspec.field(default_factory=lambda: ["*"])


class _Snapshot(msgspec.Struct):
    """The file. `gwdoctor_snapshot` stands first and is the version of this form."""

    gwdoctor_snapshot: int
    written_by: str
    taken: str
    target: _Target
    namespaces: list[str] | None
    incomplete: bool
    gaps: list[_Gap]
    kinds: list[_Listed]


def save(batch: Batch, asked: Iterable[Kind], taken: datetime, target: Target) -> bytes:
    """A batch as the bytes of a snapshot: the same batch, the same bytes."""
    listed = {kind: _Listed(_Kind.of(kind)) for kind in sorted(asked)}
    for kind, entry in listed.items():
        entry.version = batch.versions.get(kind, "")
        entry.is_missing = kind in batch.missing_kinds
        entry.by_reference = kind in batch.by_reference
        entry.namespaces_read = sorted(ns for k, ns in batch.listed if k == kind)
        entry.absent = sorted((ref.namespace, ref.name) for ref in batch.absent if ref.kind == kind)
    for resource in sorted(batch.resources, key=lambda r: r.ref):
        view = msgspec.Raw(msgspec.json.encode(resource.value))
        listed[resource.ref.kind].objects.append(_Object(resource.ref.version, view))
    whole = _Snapshot(
        gwdoctor_snapshot=FORMAT,
        written_by=__version__,
        taken=taken.isoformat(),
        target=_Target(target.context, target.server, target.user, list(target.namespaces)),
        namespaces=None if batch.namespaces is None else sorted(batch.namespaces),
        incomplete=batch.incomplete,
        gaps=[_gap(gap) for gap in batch.gaps],
        kinds=list(listed.values()),
    )
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=6) as file:
        file.write(msgspec.json.encode(whole))
    return packed.getvalue()


def _gap(gap: Gap) -> _Gap:
    rbac = {key: list(value) for key, value in gap.rbac.items()} if gap.rbac else None
    return _Gap(_Kind.of(gap.kind), gap.reason, gap.namespace, gap.name, rbac, gap.claimed)


def write(path: str, data: bytes) -> None:
    """Put a snapshot into a file that only its owner may read, whole or not at all."""
    wholefile.write(path, data, mode=0o600)


class Snapshot:
    """A snapshot that was saved before. A `Source`."""

    def __init__(self, data: bytes) -> None:
        self._whole = _decoded(data)
        target = self._whole.target
        self.target = Target(
            context=target.context,
            server=target.server,
            user=target.user,
            namespaces=tuple(target.namespaces),
        )
        try:
            self.taken = datetime.fromisoformat(self._whole.taken)
        except ValueError:
            raise BadSnapshot(f"its time {self._whole.taken!r} is none") from None

    @classmethod
    def read(cls, path: str) -> Snapshot:
        """The snapshot in a file; raises OSError and BadSnapshot."""
        return cls(Path(path).read_bytes())

    def list(self, kinds: Iterable[Kind]) -> Batch:
        """What was seen of these kinds; of one that was not asked for then, nothing can be said."""
        wanted = frozenset(kinds)
        entries = {entry.kind.kind(): entry for entry in self._whole.kinds}
        held = {kind: entry for kind, entry in entries.items() if kind in wanted}
        gaps = [
            Gap(
                kind=gap.kind.kind(),
                reason=gap.reason,
                namespace=gap.namespace,
                name=gap.name,
                rbac=gap.rbac,
                claimed=gap.claimed,
            )
            for gap in self._whole.gaps
        ]
        unread = f"gwdoctor {self._whole.written_by} did not save it in this snapshot"
        return Batch(
            resources=tuple(r for kind, entry in held.items() for r in _resources(kind, entry)),
            gaps=(
                *(gap for gap in gaps if gap.kind in wanted),
                *(Gap(kind=kind, reason=unread) for kind in sorted(wanted - entries.keys() - OURS)),
            ),
            absent=frozenset(
                Ref(kind, namespace, name)
                for kind, entry in held.items()
                for namespace, name in entry.absent
            ),
            missing_kinds=frozenset(
                # what is observed is in no picture that it was not put into
                (*(k for k, e in held.items() if e.is_missing), *((wanted & OURS) - held.keys()))
            ),
            versions={kind: entry.version for kind, entry in held.items() if entry.version},
            by_reference=frozenset(kind for kind, entry in held.items() if entry.by_reference),
            listed=frozenset(
                (kind, namespace)
                for kind, entry in held.items()
                for namespace in entry.namespaces_read
            ),
            namespaces=(
                None if self._whole.namespaces is None else frozenset(self._whole.namespaces)
            ),
            target=self.target,
            now=self.taken,
            incomplete=self._whole.incomplete,
        )

    def fetch(self, wants: Iterable[Want]) -> Batch:
        """Nothing: what was followed then is in the snapshot."""
        return Batch()


def _decoded(data: bytes) -> _Snapshot:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise BadSnapshot("it is not packed with gzip, or cut off") from None
    if len(plain) > MOST_BYTES:
        raise BadSnapshot(f"unpacked it is larger than {MOST_BYTES >> 20} MiB")
    try:
        whole = msgspec.json.decode(plain, type=_Snapshot)
    except msgspec.ValidationError as error:
        raise BadSnapshot(f"it does not have the form of a snapshot: {error}") from None
    except (msgspec.DecodeError, RecursionError):
        raise BadSnapshot("it does not hold JSON") from None
    if whole.gwdoctor_snapshot > FORMAT:
        raise BadSnapshot(
            f"gwdoctor {whole.written_by} wrote it in a newer form ({whole.gwdoctor_snapshot})"
        )
    return whole


def _resources(kind: Kind, entry: _Listed) -> Iterable[Resource]:
    if kind not in READINGS:  # saved by a gwdoctor that read more
        return
    view = READINGS[kind].view
    for saved in entry.objects:
        try:
            value: Any = msgspec.json.decode(saved.view, type=view)
        except msgspec.ValidationError as error:
            raise BadSnapshot(f"an object of kind {kind}: {error}") from None
        if wrong := decode.misnamed(value.metadata.name):
            raise BadSnapshot(f"an object of kind {kind}: {wrong}")
        if privatekeys.may_be_in(bytes(saved.view)):  # one that another program wrote, or changed
            privatekeys.cut(value)
        namespace = (value.metadata.namespace or "") if READINGS[kind].namespaced else ""
        yield Resource(Ref(kind, namespace, value.metadata.name, saved.version), (), value)
