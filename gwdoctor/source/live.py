"""The live source: a cluster, read through its API server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self
from urllib.parse import quote

import msgspec

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Kind, Ref, Resource, Target
from gwdoctor.source import access, decode, lister
from gwdoctor.source.access import Flags
from gwdoctor.source.batch import Batch, NoCluster, Want
from gwdoctor.source.connection import JSON, Connection, OutOfTime, Traffic, Trouble
from gwdoctor.source.crew import Crew
from gwdoctor.source.deadline import Deadline
from gwdoctor.source.discovery import Discovery, Served, can_be_a_name, discover, next_guess
from gwdoctor.source.keeping import Keeper
from gwdoctor.source.lister import Listing, Progress, Read
from gwdoctor.source.permissions import Permissions
from gwdoctor.source.questions import Questions

#: After so many refusals (403) of single objects in one namespace the others are not asked for.
REFUSALS = 3
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def connect(
    flags: Flags | None = None,
    *,
    namespaces: Collection[str] | None = (),
    timeout: float | None = None,
    request_timeout: float | None = None,
    chunk_size: int = 500,
    connections: int = 8,
    compress: bool | None = None,
    progress: Progress | None = None,
    resolve: Callable[[Flags], access.Access] = access.resolve,
) -> Live:
    """A source for the cluster that kubectl would take with these flags. Raises NoCluster.

    Args:
        flags: kubectl's connection flags.
        namespaces: those to read; empty: the current one of the context; None: all.
        timeout: seconds for everything that the source does; None: no end.
        request_timeout: seconds for one request.
        chunk_size: objects a page.
        connections: requests at a time.
        compress: ask for packed answers; None: unless the server is on this machine.
        progress: called after every page.
        resolve: how flags become an access.
    """
    deadline = Deadline(timeout)
    found = resolve(flags or Flags())
    connection = Connection(
        found,
        deadline=deadline,
        request_timeout=request_timeout,
        connections=connections,
        compress=compress,
    )
    chosen = None if namespaces is None else tuple(sorted(namespaces)) or (found.namespace,)
    live = Live(connection, chosen, chunk_size, connections, progress)
    try:
        live.greet()
    except BaseException:
        live.close()
        raise
    return live


class Live:
    """A cluster, read through its API server. A `Source`."""

    def __init__(
        self,
        connection: Connection,
        namespaces: tuple[str, ...] | None,
        chunk_size: int,
        connections: int,
        progress: Progress | None,
    ) -> None:
        self.deadline = connection.deadline
        self.namespace = connection.access.namespace
        self._connection = connection
        self._namespaces = namespaces
        self._chunk_size = chunk_size
        self._connections = connections
        self._progress = progress
        self._discovery = Discovery()
        self._known_namespaces: dict[str, Resource] = {}
        self._user = ""
        self._refusals: dict[tuple[Kind, str], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    @property
    def traffic(self) -> Traffic:
        """What went over the wire so far."""
        return self._connection.traffic

    @property
    def target(self) -> Target:
        """What is read, for the head of the report."""
        found = self._connection.access
        return Target(
            context=found.context,
            server=found.server,
            user=self._user or found.user_name,
            namespaces=("*",) if self._namespaces is None else self._namespaces,
        )

    @property
    def questions(self) -> Questions:
        """What can be asked about single objects."""
        return Questions(self._connection, self._discovery)

    @property
    def permissions(self) -> Permissions:
        """What we may read here."""
        return Permissions(self._connection, self._discovery)

    def keeper(self) -> Keeper:
        """What writes reports here; to be closed."""
        return Keeper(self._connection.access, request_timeout=self._connection.request_timeout)

    # --- meeting the server --------------------------------------------------------------

    def greet(self) -> None:
        """Ask the server what it serves and who we are to it. Raises NoCluster."""
        jobs: dict[str, Callable[[], Any]] = {
            "discovery": partial(discover, self._connection, READINGS),
            "user": partial(_who_am_i, self._connection),
        }
        for name in self._namespaces or ():
            jobs[f"namespace {name}"] = partial(self._check_namespace, name)
        found: dict[str, Any] = {}
        with Crew[str, Any](self._connections, self.deadline) as crew:
            for what, job in jobs.items():
                crew.submit(what, job)
            found.update(crew.outcomes())
        discovery = found.get("discovery", OutOfTime())
        for outcome in (discovery, *found.values()):
            if isinstance(outcome, NoCluster):
                raise outcome
        if isinstance(discovery, Exception):
            raise NoCluster(self._refusal(discovery)) from None
        self._discovery = discovery
        self._user = found["user"] if isinstance(found.get("user"), str) else ""

    def _refusal(self, trouble: Exception) -> str:
        found = self._connection.access
        if isinstance(trouble, Trouble) and trouble.status == 401:
            name = f" {found.user_name!r}" if found.user_name else ""
            return (
                f"{found.server} does not accept the credentials of user{name} ({found.user_where})"
            )
        context = f" (context {found.context!r})" if found.context else ""
        return f"cannot read from {found.server}{context}: {trouble}"

    def _check_namespace(self, name: str) -> None:
        """A scan of a namespace that does not exist would find nothing wrong with it."""
        if not can_be_a_name(name):
            raise NoCluster(f"{name!r} is no name of a namespace")
        try:
            path = f"/api/v1/namespaces/{quote(name)}"
            form = decode.About("Namespace", "", name, _NAMESPACE)
            found = self._connection.ask(path, form, accept=lister.METADATA)
        except Trouble as trouble:
            if trouble.status == 404 and trouble.is_genuine:
                server = self._connection.access.server
                raise NoCluster(f"namespace {name!r} does not exist in {server}") from None
            return  # it may not be ours to see: a role in it is enough to read what is there
        self._known_namespaces[name] = decode.resource(kinds.NAMESPACE, "v1", found)

    # --- Source --------------------------------------------------------------------------

    def list(self, kinds: Iterable[Kind]) -> Batch:
        """Every object of these kinds, but for those that are only read by reference."""
        wanted = frozenset(kinds)
        reads = self._list(wanted)
        while gone := {read.listing.kind for read in reads if _is_gone(read)}:
            again = {kind for kind in gone if next_guess(kind, self._discovery)}
            if not again:
                break
            reads = (*(r for r in reads if r.listing.kind not in again), *self._list(again))
        batch = self._batch(reads)
        if self._namespaces is not None:
            seen = {resource.ref for resource in batch.resources}
            extra = [r for r in self._known_namespaces.values() if r.ref not in seen]
            extra = [r for r in extra if r.ref.kind in wanted]
            batch = replace(batch, resources=(*batch.resources, *extra))
        return replace(
            batch,
            gaps=(*(gap for gap in self._discovery.gaps if gap.kind in wanted), *batch.gaps),
            missing_kinds=batch.missing_kinds | (wanted & self._discovery.missing),
            versions={
                kind: served.version
                for kind, served in self._discovery.served.items()
                if kind in wanted
            },
            by_reference=frozenset(kind for kind in wanted if is_read_in_part(kind)),
            namespaces=None if self._namespaces is None else frozenset(self._namespaces),
            target=self.target,
        )

    def fetch(self, wants: Iterable[Want]) -> Batch:
        """What objects point to: single ones by name, others by their labels or namespace."""
        known = [want for want in wants if want.kind in self._discovery.served]
        reads = self._read(
            [
                Listing(want.kind, self._discovery.served[want.kind], want.namespace, want.labels)
                for want in known
                if not want.name and (not want.namespace or can_be_a_name(want.namespace))
            ]
        )
        batch = self._batch((*reads, *self._nearer(reads)))
        whole = frozenset(
            (read.listing.kind, read.listing.namespace)
            for read in reads
            if read.done and read.trouble is None and not read.listing.labels
        )
        return replace(batch, listed=whole).plus(self._fetch([w for w in known if w.name]))

    def _nearer(self, reads: Iterable[Read]) -> Sequence[Read]:
        """What may not be looked for everywhere, looked for in the namespaces that are scanned."""
        return self._read(
            [
                replace(read.listing, namespace=namespace)
                for read in reads
                if self._is_too_wide(read.listing) and read.trouble is not None
                for namespace in self._namespaces or ()
            ]
        )

    def _is_too_wide(self, listing: Listing) -> bool:
        """Whether it goes beyond the namespaces that are scanned, and all of them."""
        everywhere = listing.served.namespaced and not listing.namespace
        return everywhere and self._namespaces is not None

    def _is_outside(self, listing: Listing) -> bool:
        """Whether it is about a namespace that the scan does not claim to have read."""
        named = listing.served.namespaced and self._namespaces is not None
        return named and listing.namespace not in (self._namespaces or ())

    # --- lists ---------------------------------------------------------------------------

    def _list(self, wanted: Collection[Kind]) -> Sequence[Read]:
        served = self._discovery.served
        return self._read(
            [
                Listing(kind, served[kind], namespace, fields=fields)
                for kind in lister.in_order(served.keys() & wanted)
                if not READINGS[kind].on_reference
                for namespace in self._places(served[kind])
                for fields in (READINGS[kind].field_selector, *READINGS[kind].other_field_selectors)
            ]
        )

    def _places(self, served: Served) -> Sequence[str]:
        if self._namespaces is None or not served.namespaced:
            return ("",)
        return self._namespaces

    def _read(self, listings: Sequence[Listing]) -> Sequence[Read]:
        return lister.read_lists(
            self._connection,
            listings,
            connections=self._connections,
            chunk_size=self._chunk_size,
            progress=self._progress,
        )

    def _batch(self, reads: Iterable[Read]) -> Batch:
        resources: list[Resource] = []
        gaps: list[Gap] = []
        missing: set[Kind] = set()
        incomplete = False
        for read in reads:
            resources += read.resources
            gaps += read.gaps
            trouble = read.trouble
            if trouble is None and read.done:
                continue
            if trouble is None or isinstance(trouble, OutOfTime):
                trouble, incomplete = OutOfTime(), True
            if trouble.status == 404 and read.listing.kind in self._discovery.guessed:
                missing.add(read.listing.kind)
            elif not self._is_too_wide(read.listing):
                gaps.append(_gap(read.listing, trouble, claimed=not self._is_outside(read.listing)))
        return Batch(
            resources=tuple(resources),
            gaps=tuple(gaps),
            missing_kinds=frozenset(missing),
            incomplete=incomplete,
        )

    # --- single objects ------------------------------------------------------------------

    def _fetch(self, wants: Sequence[Want]) -> Batch:
        resources: list[Resource] = []
        gaps: list[Gap] = []
        absent: set[Ref] = set()
        possible = [want for want in wants if self._can_exist(want)]
        absent.update(Ref(w.kind, w.namespace, w.name) for w in set(wants).difference(possible))
        unanswered = dict.fromkeys(possible)
        with Crew[Want, Any](self._connections, self.deadline) as crew:
            for want in possible:
                decoder = lister.one_decoder(want.kind)  # no thread meets a type first
                namespaced = self._discovery.served[want.kind].namespaced
                space = want.namespace if namespaced else ""
                form = decode.About(want.kind.name, space, want.name, decoder)
                crew.submit(want, partial(self._get, want, form))
            for want, outcome in crew.outcomes():
                del unanswered[want]
                if not isinstance(outcome, Exception):
                    version = self._discovery.served[want.kind].version
                    resources.append(decode.resource(want.kind, version, outcome))
                elif isinstance(outcome, Trouble) and outcome.status == 404 and outcome.is_genuine:
                    absent.add(Ref(want.kind, want.namespace, want.name))
                elif isinstance(outcome, OutOfTime):
                    unanswered[want] = None
                else:
                    gaps.append(_named_gap(want, outcome))
        gaps += [_named_gap(want, OutOfTime()) for want in unanswered]
        return Batch(
            resources=tuple(resources),
            gaps=tuple(gaps),
            absent=frozenset(absent),
            incomplete=bool(unanswered),
        )

    def _can_exist(self, want: Want) -> bool:
        """Whether the fields of an object, which may hold anything, name something at all."""
        needs_namespace = self._discovery.served[want.kind].namespaced
        return can_be_a_name(want.name) and (can_be_a_name(want.namespace) or not needs_namespace)

    def _get(self, want: Want, form: decode.About[Any]) -> Any:
        place = want.kind, want.namespace
        if self._refusals.get(place, 0) >= REFUSALS:
            raise Trouble("may not be read (403)", 403)
        served = self._discovery.served[want.kind]
        accept = lister.METADATA if READINGS[want.kind].metadata_only else JSON
        path = served.path(want.namespace, want.name)
        try:
            return self._connection.ask(path, form, accept=accept)
        except Trouble as trouble:
            if trouble.status == 403:
                self._refusals[place] = self._refusals.get(place, 0) + 1
            raise


def _is_gone(read: Read) -> bool:
    return read.trouble is not None and read.trouble.status == 404


def is_read_in_part(kind: Kind) -> bool:
    """Whether a live scan reads only some objects of a kind that others refer to by name."""
    reading = READINGS[kind]
    return reading.on_reference or (bool(reading.field_selector) and not reading.policy)


class _UserInfo(msgspec.Struct):
    username: str = ""


class _ReviewStatus(msgspec.Struct, rename="camel"):
    user_info: _UserInfo = msgspec.field(default_factory=_UserInfo)


class _Review(msgspec.Struct):
    status: _ReviewStatus = msgspec.field(default_factory=_ReviewStatus)


# worked out before threads use them: see `discovery`
_REVIEWED = msgspec.json.Decoder(_Review)
_NAMESPACE = msgspec.json.Decoder(kinds.MetadataOnly)


def _who_am_i(connection: Connection) -> str:
    """The name under which the server knows us; empty where it does not tell."""
    question = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        return connection.post(_REVIEW, question, _REVIEWED).status.user_info.username
    except Trouble:
        return ""


def _gap(listing: Listing, trouble: Trouble, *, claimed: bool) -> Gap:
    """Why a list could not be read, and the right that is lacking if it is one."""
    refused = trouble.status == 403
    return Gap(
        kind=listing.kind,
        namespace=listing.namespace,
        reason="may not be listed (403)" if refused else str(trouble),
        rbac=rule(listing.kind, "get", "list") if refused else None,
        claimed=claimed,
    )


def _named_gap(want: Want, trouble: object) -> Gap:
    refused = isinstance(trouble, Trouble) and trouble.status == 403
    return Gap(
        kind=want.kind,
        namespace=want.namespace,
        name=want.name,
        reason="may not be read (403)" if refused else str(trouble),
        rbac=rule(want.kind, "get") if refused else None,
    )


def rule(kind: Kind, *verbs: str) -> dict[str, list[str]]:
    """The RBAC rule that allows this."""
    return {
        "apiGroups": [kind.group],
        "resources": [READINGS[kind].plural],
        "verbs": [*verbs],
    }
