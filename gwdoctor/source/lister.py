"""Whole lists, page by page, several kinds at a time, decoded straight into the views."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Generic, TypeVar

import msgspec

from gwdoctor import kinds, privatekeys
from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Kind, Resource
from gwdoctor.source import decode
from gwdoctor.source.connection import JSON, Connection, Trouble
from gwdoctor.source.crew import Crew
from gwdoctor.source.discovery import Served
from gwdoctor.source.trail import Trail

#: Called after every page: the kind, its objects and bytes so far, and whether it is done.
Progress = Callable[[Kind, int, int, bool], None]

#: How often a list is begun anew because its snapshot was gone (410) or a page was no JSON.
RESTARTS = 3
#: From this 410 on it is asked for in one piece, which cannot expire on the way.
IN_ONE_PIECE = 2
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
_CONTINUE = re.compile(rb'"continue"\s*:\s*"([^"\\]+)"')
_LAST_METADATA = re.compile(rb'"metadata"\s*:\s*\{[^{}]*\}\s*\}\s*$')
_EDGE = 4096

#: The `status` of a Trouble where the status was 200 and the body was no list.
NO_LIST = -1

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list to read: of a kind, in a namespace or everywhere, whole or by selectors."""

    kind: Kind
    served: Served
    namespace: str = ""
    labels: str = ""
    fields: str = ""


@dataclass(slots=True)
class Read:
    """What came of a listing. `trouble` says why it is not whole."""

    listing: Listing
    resources: list[Resource] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)  #: single objects that could not be read
    bytes: int = 0
    trouble: Trouble | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    """One request of a listing. `round` counts how often the listing was begun."""

    listing: Listing
    round: int = 0
    number: int = 0
    token: str = ""
    in_one_piece: bool = False
    trail: Trail = field(default_factory=Trail, compare=False)


@dataclass(frozen=True, slots=True)
class _Content:
    body: bytearray
    is_last: bool


class _Reading:
    """A listing while it is read. Pages may come in any order; those of an old round are void."""

    def __init__(self, listing: Listing) -> None:
        self.read = Read(listing)
        self._round = 0
        self._expired = 0
        self._taken = 0
        self._last: int | None = None

    def take(self, page: _Page, outcome: _Content | Exception) -> _Page | None:
        """Use what came; returns the page to ask for if the list has to be begun anew."""
        read = self.read
        if page.round != self._round or read.trouble is not None:
            return None
        try:
            if isinstance(outcome, Exception):
                raise outcome
            decode_page(read, outcome.body)
        except Trouble as trouble:
            if trouble.status in (410, NO_LIST) and self._round < RESTARTS:
                return self._anew(expired=trouble.status == 410)
            read.trouble = trouble
        except Exception as error:  # credentials that ran out and cannot be renewed, or a bug
            read.trouble = Trouble(str(error) or type(error).__name__)
        else:
            self._taken += 1
            if outcome.is_last:
                self._last = page.number
            read.done = self._last is not None and self._taken == self._last + 1
        return None

    def _anew(self, *, expired: bool) -> _Page:
        self._round += 1
        self._expired += expired
        self._taken, self._last = 0, None
        self.read = Read(self.read.listing)
        in_one_piece = self._expired >= IN_ONE_PIECE
        return _Page(self.read.listing, self._round, in_one_piece=in_one_piece)


def read_lists(
    connection: Connection,
    listings: Sequence[Listing],
    *,
    connections: int,
    chunk_size: int,
    progress: Progress | None = None,
) -> list[Read]:
    """Read them all, the first ones first; those that the deadline cut off are not `done`."""
    readings = {listing: _Reading(listing) for listing in listings}
    with Crew[_Page, _Content](connections, connection.deadline) as crew:

        def ask(page: _Page) -> None:
            crew.submit(page, partial(_fetch, connection, page, chunk_size, ask))

        for listing in readings:
            ask(_Page(listing))
        for page, outcome in crew.outcomes():
            reading = readings[page.listing]
            again = reading.take(page, outcome)
            if again is not None:
                ask(again)
            if progress is not None:
                read = reading.read
                progress(page.listing.kind, len(read.resources), read.bytes, read.done)
    return [reading.read for reading in readings.values()]


def _fetch(
    connection: Connection, page: _Page, chunk_size: int, ask: Callable[[_Page], None]
) -> _Content:
    """One page; the one behind it is asked for before this one is decoded."""
    listing = page.listing
    reading = READINGS[listing.kind]
    query = {}
    if chunk_size and not page.in_one_piece:
        query["limit"] = str(chunk_size)
    if page.token:
        query["continue"] = page.token
    if listing.fields:
        query["fieldSelector"] = listing.fields
    if listing.labels:
        query["labelSelector"] = listing.labels
    body = connection.get(
        listing.served.path(listing.namespace),
        query,
        accept=METADATA_LIST if reading.metadata_only else JSON,
    )
    token = _token(body)
    if token:
        page.trail.follow(token)
        ask(replace(page, token=token, number=page.number + 1))
    return _Content(body, is_last=not token)


# --- decoding ----------------------------------------------------------------------------


class _Meta(msgspec.Struct):
    token: str = msgspec.field(name="continue", default="")


class _Head(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_HEAD = msgspec.json.Decoder(_Head)  # worked out before threads use it: see `discovery`


class _List(msgspec.Struct, Generic[V]):
    kind: str = ""
    apiVersion: str = ""  # noqa: N815
    items: list[V] | None = None


_RAW = msgspec.json.Decoder(_List[msgspec.Raw])


@cache
def _decoder(kind: Kind) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_List[decode.wire_type(kind)])  # type: ignore[misc]


@cache
def one_decoder(kind: Kind) -> msgspec.json.Decoder[Any]:
    """What decodes one object, as far as it is read."""
    return msgspec.json.Decoder(decode.wire_type(kind))


def _token(body: bytearray) -> str:
    """Where the list goes on; found without parsing all of it where it can be.

    Of the kinds that are built in, `metadata` stands before `items`; of the others it comes last.
    """
    head = bytes(body[:_EDGE])
    head = head[: max(head.find(b'"items"'), 0)]
    if b'"metadata"' not in head:
        last = _LAST_METADATA.search(bytes(body[-_EDGE:]))
        head = last[0] if last else b""
    if head:
        found = _CONTINUE.search(head)
        if found:
            return found[1].decode("ascii", "replace")
        if b'"continue"' not in head:
            return ""
    try:
        return _HEAD.decode(body).metadata.token
    except decode.UNREADABLE:
        return ""  # decode_page will see that this page is broken


def decode_page(read: Read, body: bytearray) -> None:
    """Decode a page. Raises Trouble where it is no list; a broken object becomes a gap."""
    kind, version = read.listing.kind, read.listing.served.version
    try:
        try:
            page: Any = _decoder(kind).decode(body)
            items = page.items or ()
        except msgspec.ValidationError:
            page = _RAW.decode(body)
            items = tuple(_one_by_one(read, page.items or ()))
    except decode.UNREADABLE:
        what = "a web page, and no list" if decode.is_web_page(body) else "broken JSON"
        raise Trouble(f"a page of the list is {what}", NO_LIST) from None
    if not _is_list_of(kind, page):
        plural = READINGS[kind].plural
        raise Trouble(f"the server answers with something else than a list of {plural}", NO_LIST)
    read.bytes += len(body)
    may_hold_key = privatekeys.may_be_in(body)
    for item in items:
        if wrong := decode.misnamed(item.metadata.name):
            read.gaps.append(Gap(kind=kind, reason=f"one cannot be read: {wrong}"))
        else:
            read.resources.append(decode.resource(kind, version, item, may_hold_key=may_hold_key))


def _is_list_of(kind: Kind, page: Any) -> bool:
    """Whether it is the answer to our question, and not one that somebody on the way mixed up."""
    if READINGS[kind].metadata_only and page.kind == "PartialObjectMetadataList":
        return True
    group = page.apiVersion.rpartition("/")[0]
    return bool(page.kind == f"{kind.name}List" and group == kind.group)


def _one_by_one(read: Read, raw_items: Iterable[msgspec.Raw]) -> Iterator[Any]:
    kind = read.listing.kind
    for raw in raw_items:
        try:
            yield one_decoder(kind).decode(raw)
        except msgspec.ValidationError as error:
            read.gaps.append(broken(kind, raw, error))


class _Identity(msgspec.Struct):
    metadata: Any = None


_IDENTITY = msgspec.json.Decoder(_Identity)


def broken(kind: Kind, raw: bytearray | msgspec.Raw, error: msgspec.ValidationError) -> Gap:
    """The gap that an object leaves whose fields have other types than its kind promises.

    It is a gap of its whole namespace: what else a check finds there is not all there is.
    """
    metadata = _IDENTITY.decode(raw).metadata
    known = metadata if isinstance(metadata, dict) else {}
    name, namespace = known.get("name"), known.get("namespace")
    of = name if isinstance(name, str) else "without a name"
    return Gap(
        kind=kind,
        reason=f"one, {of}, cannot be read: {decode.where(error)}",
        namespace=namespace if isinstance(namespace, str) and READINGS[kind].namespaced else "",
    )


_NUMEROUS = (
    kinds.POD,
    kinds.ENDPOINT_SLICE,
    kinds.SERVICE,
    kinds.SECRET,
    kinds.VIRTUAL_SERVICE,
    kinds.DESTINATION_RULE,
    kinds.HTTP_ROUTE,
    kinds.INGRESS,
    kinds.CERTIFICATE_REQUEST,
)


def in_order(wanted: Iterable[Kind]) -> list[Kind]:
    """The kinds that are often numerous first, so that no long list begins last."""
    return sorted(wanted, key=lambda kind: (kind not in _NUMEROUS, kind))
