"""What is asked about one object: who manages it, whether the server would take a change, its log.

Every request that could write carries `dryRun=All`: the server answers it and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gwdoctor.model import Kind, Ref
from gwdoctor.source import podlogs
from gwdoctor.source.connection import JSON, Connection, Trouble
from gwdoctor.source.decode import HEAD, About, Form, Gone, Head
from gwdoctor.source.discovery import Discovery

if TYPE_CHECKING:
    from gwdoctor.source import addresses, handshake, probing

T = TypeVar("T")

_APPLY = "application/apply-patch+yaml"
_PATCH = "application/json-patch+json"


class _Manager(msgspec.Struct):
    manager: str = ""
    subresource: str = ""


class _Managed(msgspec.Struct, rename="camel"):
    managed_fields: list[_Manager] | None = None


class _Object(msgspec.Struct):
    metadata: _Managed


_OBJECT = msgspec.json.Decoder(_Object)
#: Where the server says that it did not come to a decision.
TOO_BUSY = (401, 429, 503, 504)


def _about(ref: Ref, form: msgspec.json.Decoder[T]) -> About[T]:
    return About(ref.kind.name, ref.namespace, ref.name, form)


class Questions:
    """Questions about single objects, asked of one API server."""

    def __init__(self, connection: Connection, discovery: Discovery) -> None:
        self._connection = connection
        self._discovery = discovery

    def managers(self, ref: Ref) -> tuple[str, ...]:
        """The field managers of an object, without those of its status; none where it is hidden.

        Raises Trouble where the server does not answer.
        """
        try:
            found = self._connection.ask(self._path(ref), _about(ref, _OBJECT))
        except Trouble as trouble:
            if trouble.is_genuine and trouble.status in (403, 404):
                return ()
            raise
        names = (m.manager for m in found.metadata.managed_fields or () if not m.subresource)
        return tuple(dict.fromkeys(name for name in names if name))

    def would_apply(self, ref: Ref, manifest: Mapping[str, Any], manager: str) -> str:
        """Why the server would not take this by server-side apply; empty if it would.

        Raises Trouble, as those below, where the server does not answer that.
        """
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self._refusal("PATCH", ref, query, manifest, _APPLY)

    def would_patch(self, ref: Ref, patch: Sequence[Mapping[str, Any]]) -> str:
        """Why the server would not take this JSON patch; empty if it would."""
        return self._refusal("PATCH", ref, {"fieldValidation": "Strict"}, patch, _PATCH)

    def would_delete(self, ref: Ref) -> str:
        """Why the server would not delete this; empty if it would."""
        return self._refusal("DELETE", ref, {}, None, JSON)

    def _refusal(
        self, method: str, ref: Ref, query: Mapping[str, str], body: object, content: str
    ) -> str:
        path, about = self._path(ref), _about(ref, HEAD)
        form: Form[Head] = Gone(about) if method == "DELETE" else about
        try:
            self._connection.dry_run(method, path, query, body, form, content=content)
        except Trouble as trouble:
            if trouble.is_genuine and trouble.status not in TOO_BUSY:
                return str(trouble)
            raise
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
