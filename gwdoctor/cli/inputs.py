"""From options to a picture of a cluster: live, from files, or from a snapshot."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gwdoctor.cli import values
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Connection, Input, Time
from gwdoctor.cli.phases import Phases, Timed
from gwdoctor.cli.talk import Talk
from gwdoctor.gather import Picture, gather
from gwdoctor.model import Kind, Target, rfc3339
from gwdoctor.probe import Probe
from gwdoctor.source.batch import Source
from gwdoctor.source.deadline import Deadline
from gwdoctor.source.files import Files
from gwdoctor.source.manifests import Note
from gwdoctor.source.snapshot import BadSnapshot, Snapshot

if TYPE_CHECKING:
    from gwdoctor.source.access import Flags
    from gwdoctor.source.keeping import Keeper
    from gwdoctor.source.questions import Questions

#: The share of --timeout that reading may take: what was read by then is still to be checked.
READING = 0.8


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to judge."""

    picture: Picture
    target: Target
    deadline: Deadline
    notes: tuple[Note, ...] = ()  #: documents that could not be used
    namespaces: frozenset[str] | None = None  #: those that the report is about; None: all
    is_live: bool = False
    questions: Questions | None = None  #: to a cluster, while it is open
    keeper: Callable[[], Keeper] | None = None  #: what writes reports into a cluster

    def must_hold_something(self) -> None:
        """Raises Mistake for files without any object: there is nothing to save or to mend."""
        missing = [note for note in self.notes if note.problem == "missing"]
        if missing and not len(self.picture.cluster):
            raise Mistake(str(missing[-1]))

    @property
    def now(self) -> datetime:
        """The clock of the checks."""
        return self.picture.cluster.now

    @property
    def time(self) -> str:
        """When the cluster was seen, RFC 3339; files have no such time."""
        if not self.is_live and self.picture.batch.now is None:
            return ""
        return rfc3339(self.now)


def read(
    given: Input,
    probes: Collection[type[Probe]],
    *,
    connection: Connection,
    time: Time,
    talk: Talk,
) -> Seen:
    """Read what these checks need. Raises Mistake and NoCluster."""
    with opened(given, probes, connection=connection, time=time, talk=talk) as seen:
        return seen


@contextmanager
def opened(
    given: Input,
    probes: Collection[type[Probe]],
    *,
    connection: Connection,
    time: Time,
    talk: Talk,
    also: Collection[Kind] = (),
) -> Iterator[Seen]:
    """The same, and the cluster can be asked more until it is left.

    `also` is what of a cluster is read beside what the checks declare.
    """
    timeout = values.seconds(time.timeout, "--timeout")
    request_timeout = values.seconds(time.request_timeout, "--request-timeout")
    deadline = Deadline(timeout)
    now = values.moment(given.now, "--now") if given.now else None
    namespaces = _namespaces(given)
    if given.filename and given.snapshot:
        raise Mistake("-f and --snapshot exclude each other")
    if given.filename:
        now = now or datetime.now(UTC)
        yield _files(given, probes, namespaces, now, deadline, talk.phases)
    elif given.snapshot:
        snapshot = _opened(given.snapshot)
        talk.say(1, f"the snapshot was taken at {snapshot.taken.isoformat()}")
        if namespaces is None and not given.all_namespaces:
            namespaces = _scope(snapshot.target)
        timed = Timed(snapshot, talk.phases)
        yield from_source(timed, probes, namespaces, now, deadline, snapshot.target)
    else:
        with _live(
            probes,
            namespaces=None if given.all_namespaces else namespaces or frozenset(),
            now=now,
            connection=connection,
            deadline=deadline,
            request_timeout=request_timeout,
            talk=talk,
            also=also,
        ) as seen:
            yield seen


def _namespaces(given: Input) -> frozenset[str] | None:
    """Those of -n (with commas, too); None where none is given, or all are asked for."""
    names = [n.strip() for text in given.namespace or () for n in text.split(",")]
    if any(not name for name in names):
        raise Mistake("-n: the name of a namespace is empty")
    return None if given.all_namespaces or not names else frozenset(names)


def _scope(target: Target) -> frozenset[str] | None:
    """The namespaces that a report on this target is about; None: all."""
    return None if target.namespaces == ("*",) else frozenset(target.namespaces)


# --- files and snapshots ---------------------------------------------------------------------


def _files(
    given: Input,
    probes: Collection[type[Probe]],
    namespaces: frozenset[str] | None,
    now: datetime,
    deadline: Deadline,
    phases: Phases,
) -> Seen:
    # as with kubectl apply: what says no namespace goes where -n says
    default = next(iter(namespaces)) if namespaces and len(namespaces) == 1 else "default"
    files = Files(given.filename or (), default_namespace=default)
    seen = from_source(Timed(files, phases), probes, namespaces, now, deadline, Target())
    notes = files.notes
    if not files.objects:  # as for kubectl this is a mistake; whoever wants a report gets one
        given_files = ", ".join(given.filename or ())
        notes = (Note(given_files, "there is no Kubernetes object in it", "missing"), *notes)
    return replace(seen, notes=notes)


#: New objects, and rounds of the younger generations, before the collector looks again.
_SELDOM = (50_000, 20, 100)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Reading makes very many objects, no cycles, and they stay to the end: to look for garbage
    among them costs a quarter of its time. So do the joins of the checks: afterwards it is looked
    for seldom, which takes a seventh of theirs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*_SELDOM)
        if was_on:
            gc.enable()


def from_source(
    source: Source,
    probes: Collection[type[Probe]],
    namespaces: frozenset[str] | None,
    now: datetime | None,
    deadline: Deadline,
    target: Target,
) -> Seen:
    """What a file holds; a namespace that it does not know is a mistake, not an empty one."""
    try:
        with _without_collector():
            picture = gather(source, probes, now=now)
    except BadSnapshot as error:
        raise Mistake(f"the snapshot cannot be read: {error}") from None
    known = picture.batch.namespaces
    if known is None:
        known = frozenset(r.namespace or r.name for r in picture.batch.resources)
    unknown = sorted((namespaces or frozenset()) - known)
    if unknown:
        raise Mistake(f"-n: there is nothing of namespace {', '.join(unknown)} in the input")
    if namespaces:
        target = replace(target, namespaces=tuple(sorted(namespaces)))
    return Seen(picture=picture, target=target, deadline=deadline, namespaces=namespaces)


def _opened(path: str) -> Snapshot:
    try:
        return Snapshot.read(path)
    except OSError as error:
        raise Mistake(f"--snapshot: {path}: {error.strerror}") from None
    except BadSnapshot as error:
        raise Mistake(f"--snapshot: {path} is no snapshot: {error}") from None


# --- a cluster -------------------------------------------------------------------------------


def flags_of(connection: Connection) -> Flags:
    """kubectl's connection flags, as they were given."""
    from gwdoctor.source.access import Flags

    return Flags(
        kubeconfig=connection.kubeconfig or "",
        context=connection.context or "",
        cluster=connection.cluster or "",
        user=connection.user or "",
        server=connection.server or "",
        token=connection.token or "",
        tls_server_name=connection.tls_server_name or "",
        certificate_authority=connection.certificate_authority or "",
        client_certificate=connection.client_certificate or "",
        client_key=connection.client_key or "",
        insecure_skip_tls_verify=connection.insecure_skip_tls_verify,
        as_user=connection.as_user or "",
        as_groups=tuple(connection.as_group or ()),
        as_uid=connection.as_uid or "",
        disable_compression=connection.disable_compression,
    )


@contextmanager
def _live(
    probes: Collection[type[Probe]],
    *,
    namespaces: frozenset[str] | None,
    now: datetime | None,
    connection: Connection,
    deadline: Deadline,
    request_timeout: float | None,
    talk: Talk,
    also: Collection[Kind],
) -> Iterator[Seen]:
    from gwdoctor.source.live import connect

    live = connect(
        flags_of(connection),
        namespaces=namespaces,
        timeout=deadline.seconds * READING,
        request_timeout=request_timeout,
        chunk_size=connection.chunk_size,
        progress=talk.progress,
    )
    talk.phases.lap("connect")
    with closing(live):
        with _without_collector():
            picture = gather(Timed(live, talk.phases), probes, now=now, also=also)
        target = live.target
        talk.done()
        talk.say(1, f"{live.traffic.requests} requests, {live.traffic.bytes} bytes")
        yield Seen(
            picture=picture,
            target=target,
            deadline=deadline,
            namespaces=_scope(target),
            is_live=True,
            questions=live.questions,
            keeper=live.keeper,
        )
