"""What is asked about one object: who manages it, whether the server would take a change, its log.

Every request that could write carries `dryRun=All`: the server answers it and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gwdoctor.model import Kind, Ref
from gwdoctor.source import lister, podlogs
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.discovery import Discovery

if TYPE_CHECKING:
    from gwdoctor.source import addresses, handshake, probing

_APPLY = "application/apply-patch+yaml"
_PATCH = "application/json-patch+json"


class _Manager(msgspec.Struct):
    manager: str = ""
    subresource: str = ""


class _Managed(msgspec.Struct, rename="camel"):
    managed_fields: list[_Manager] = []


class _Object(msgspec.Struct):
    metadata: _Managed = msgspec.field(default_factory=_Managed)


class Questions:
    """Questions about single objects, asked of one API server."""

    def __init__(self, connection: Connection, discovery: Discovery) -> None:
        self._connection = connection
        self._discovery = discovery

    def managers(self, ref: Ref) -> tuple[str, ...]:
        """The field managers of an object, without those of its status; none where it is hidden."""
        try:
            path = self._path(ref)
            found = msgspec.json.decode(self._connection.get(path), type=_Object)
        except (Trouble, *lister.UNREADABLE):
            return ()
        names = (m.manager for m in found.metadata.managed_fields if not m.subresource)
        return tuple(dict.fromkeys(name for name in names if name))

    def would_apply(self, ref: Ref, manifest: Mapping[str, Any], manager: str) -> str:
        """Why the server would not take this by server-side apply; empty if it would."""
        try:
            path = self._path(ref)
            query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
            self._connection.dry_run("PATCH", path, query, manifest, content=_APPLY)
        except Trouble as trouble:
            return str(trouble)
        return ""

    def would_patch(self, ref: Ref, patch: Sequence[Mapping[str, Any]]) -> str:
        """Why the server would not take this JSON patch; empty if it would."""
        try:
            query = {"fieldValidation": "Strict"}
            self._connection.dry_run("PATCH", self._path(ref), query, patch, content=_PATCH)
        except Trouble as trouble:
            return str(trouble)
        return ""

    def would_delete(self, ref: Ref) -> str:
        """Why the server would not delete this; empty if it would."""
        try:
            self._connection.dry_run("DELETE", self._path(ref), {}, None)
        except Trouble as trouble:
            return str(trouble)
        return ""

    def logs(
        self, containers: Sequence[podlogs.Container], limits: podlogs.Limits
    ) -> Iterator[tuple[podlogs.Container, bytearray | Trouble]]:
        """What containers wrote, as it comes."""
        return podlogs.read(self._connection, containers, limits)

    def probes(
        self, targets: Sequence[probing.Target], allowed: Sequence[addresses.Network]
    ) -> Iterator[tuple[probing.Target, handshake.Shown | Trouble]]:
        """What ports show, as it comes."""
        from gwdoctor.source import probing

        return probing.probe(self._connection, targets, allowed)

    def _path(self, ref: Ref) -> str:
        served = self._discovery.served.get(Kind(ref.kind.name, ref.kind.group))
        if served is None:
            raise Trouble(f"the server does not serve {ref.kind}")
        return served.path(ref.namespace, ref.name)
