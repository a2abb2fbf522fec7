"""The nouns: kinds, resources, fields, changes, fixes, findings."""

from __future__ import annotations

import copy
import enum
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import msgspec

from gwdoctor.entry import Entry

T = TypeVar("T")

Path = tuple[str | int, ...]


class Severity(enum.IntEnum):
    """What the users of the site stand to lose."""

    LOW = 1  #: hygiene
    MEDIUM = 2  #: works by luck
    HIGH = 3  #: some requests fail, or will within 14 days, or a credential is exposed
    CRITICAL = 4  #: requests fail now

    def __str__(self) -> str:
        return self.name.lower()


class Confidence(enum.IntEnum):
    """How sure the check is, apart from how bad it would be."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3  #: a controller's own current status, or arithmetic on objects

    def __str__(self) -> str:
        return self.name.lower()


class Kind(NamedTuple):
    """A kind of resource, whatever version the API server prefers.

    `facet` tells two pictures of one kind apart: of every Pod the metadata is read, of the
    few that matter the whole (see `kinds.POD_WHOLE`).
    """

    name: str
    group: str = ""
    facet: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Kind:
        """The kind of a manifest."""
        group, _, _ = str(manifest["apiVersion"]).rpartition("/")
        return cls(str(manifest["kind"]), group)

    def __str__(self) -> str:
        return f"{self.name}.{self.group}" if self.group else self.name


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which resource. `version` is the one it was read in; it does not take part in equality."""

    kind: Kind
    namespace: str
    name: str
    version: str = field(default="", compare=False)

    @property
    def api_version(self) -> str:
        """`group/version`, as in a manifest."""
        return f"{self.kind.group}/{self.version}" if self.kind.group else self.version

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}".replace(" /", " ")


class BulkMetadata(msgspec.Struct, omit_defaults=True):
    """What is kept of `metadata` where there are very many objects, which only their labels join."""

    name: str = ""
    namespace: str | None = None
    creationTimestamp: str | None = None  # noqa: N815 - the field's own name
    deletionTimestamp: str | None = None  # noqa: N815
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Metadata(BulkMetadata, omit_defaults=True):
    """What is kept of `metadata`: everything a check or a fix uses, so not `managedFields`."""

    generation: int | None = None
    uid: str | None = None
    ownerReferences: list[dict[str, Any]] | None = None  # noqa: N815


_Struct = msgspec.Struct


def _step(value: Any, step: str | int) -> Any:
    if value is None:
        return None
    if isinstance(step, str):
        if isinstance(value, _Struct):
            return getattr(value, step, None)
        return value.get(step) if value.__class__ is dict else None
    if value.__class__ is list:
        return value[step] if -len(value) <= step < len(value) else None
    return None


class Field(msgspec.Struct, frozen=True, eq=False):
    """A value in a resource that knows where it stands; absent is `None`, never an error."""

    ref: Ref
    path: Path
    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and self.ref == other.ref and self.path == other.path

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct's own compares identity

    def __hash__(self) -> int:  # answers are kept by it: the kind rarely tells two apart
        return hash((self.ref.namespace, self.ref.name, self.path))

    # Checks ask these millions of times a scan: hence no call between a question and its answer
    # where all on the way are mappings.

    def _dig(self, steps: Sequence[str | int]) -> Any:
        value = self.value
        for step in steps:
            value = value.get(step) if value.__class__ is dict else _step(value, step)
        return value

    def at(self, *steps: str | int) -> Field:
        """The field at the end of these steps."""
        return Field(self.ref, self.path + steps, self._dig(steps))

    def has(self, *steps: str | int) -> bool:
        """Whether there is anything (but null) at the end of these steps."""
        value = self.value
        for step in steps:
            value = value.get(step) if value.__class__ is dict else _step(value, step)
        return value is not None

    def each(self, *steps: str | int) -> Sequence[Field]:
        """The items of the list at the end of these steps."""
        items = self.value
        for step in steps:
            items = items.get(step) if items.__class__ is dict else _step(items, step)
        if items.__class__ is not list:
            return ()
        ref, path = self.ref, self.path + steps
        return [Field(ref, (*path, i), item) for i, item in enumerate(items)]

    def entries(self, *steps: str | int) -> Sequence[tuple[str, Field]]:
        """Key and value of the mapping at the end of these steps."""
        mapping = self._dig(steps)
        if mapping.__class__ is not dict:
            return ()
        ref, path = self.ref, self.path + steps
        return [
            (key, Field(ref, (*path, key), item))
            for key, item in mapping.items()
            if isinstance(key, str)
        ]

    def text(self, *steps: str | int) -> str:
        """The string there, or an empty one."""
        value = self.value
        for step in steps:
            value = value.get(step) if value.__class__ is dict else _step(value, step)
        return value if value.__class__ is str else ""

    def texts(self, *steps: str | int) -> tuple[str, ...]:
        """The strings of the list there."""
        value = self._dig(steps)
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()

    def number(self, *steps: str | int) -> int | None:
        """The integer there, if any."""
        value = self.value
        for step in steps:
            value = value.get(step) if value.__class__ is dict else _step(value, step)
        return value if value.__class__ is int else None

    def flag(self, *steps: str | int) -> bool | None:
        """The boolean there, if any."""
        value = self._dig(steps)
        return value if value.__class__ is bool else None

    def labels(self, *steps: str | int) -> dict[str, str]:
        """The string map there, or an empty one. Not to be written to."""
        value = self._dig(steps)
        if value.__class__ is not dict:
            return {}
        for item in value.values():
            if item.__class__ is not str:
                return {key: item for key, item in value.items() if isinstance(item, str)}
        found: dict[str, str] = value
        return found

    @property
    def pointer(self) -> str:
        """RFC 6901, as `kubectl patch --type json` wants it."""
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in self.path)
        return "".join(f"/{step}" for step in steps)


class Resource(Field, frozen=True, eq=False):
    """A whole resource as it was read: the Field at `()`. Never written to."""

    kept: dict[Any, Any] | None = None  #: see `of_resource`

    @property
    def namespace(self) -> str:
        """Its namespace; empty if cluster-scoped."""
        return self.ref.namespace

    @property
    def name(self) -> str:
        """Its name."""
        return self.ref.name

    @property
    def created(self) -> str:
        """creationTimestamp, RFC 3339 in UTC (so it sorts as text); empty when unknown."""
        return self.text("metadata", "creationTimestamp")

    @property
    def own_labels(self) -> dict[str, str]:
        """Its labels. Not to be written to."""
        metadata = getattr(self.value, "metadata", None)
        return (metadata.labels or {}) if isinstance(metadata, BulkMetadata) else {}

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations. Not to be written to."""
        metadata = getattr(self.value, "metadata", None)
        return (metadata.annotations or {}) if isinstance(metadata, BulkMetadata) else {}

    def annotation(self, key: str) -> str:
        """An annotation, or an empty string."""
        return self.annotations.get(key, "")

    def label(self, key: str) -> str:
        """A label, or an empty string."""
        return self.own_labels.get(key, "")

    def manifest(self) -> dict[str, Any]:
        """A copy as plain dicts, without what only the server writes."""
        plain: dict[str, Any] = msgspec.to_builtins(self.value)
        plain = {key: value for key, value in plain.items() if value is not None}
        plain.pop("status", None)
        for key in ("creationTimestamp", "deletionTimestamp", "generation", "uid"):
            plain["metadata"].pop(key, None)
        head = {"apiVersion": self.ref.api_version, "kind": self.ref.kind.name}
        return {**head, **{k: v for k, v in plain.items() if k not in head}}

    def changed(self, *steps: str | int, to: Any) -> Change:
        """This resource with one value replaced, its parents made where they lack.

        `to=None` takes the value away. `Change.changed` goes on from there.
        """
        before = _as_it_is(self)
        return Change(self.ref, before, before).changed(*steps, to=to)

    def deleted(self) -> Change:
        """This resource taken away."""
        return Change(self.ref, _as_it_is(self), None)


def of_resource(compute: Callable[[Resource], T]) -> Callable[[Resource], T]:
    """Keep the answer with the resource: for what is asked by many checks and depends on it alone."""

    @wraps(compute)
    def kept(resource: Resource) -> T:
        answers = resource.kept
        if answers is None:
            answers = {}
            msgspec.structs.force_setattr(resource, "kept", answers)
        try:
            found: T = answers[compute]
        except KeyError:
            found = answers[compute] = compute(resource)
        return found

    return kept


@of_resource
def _as_it_is(resource: Resource) -> dict[str, Any]:
    return resource.manifest()


@dataclass(frozen=True, slots=True)
class Change:
    """A resource before and after, both whole; every rendering (YAML, diff, patch) derives from it.

    They have in common what stays, also with other changes of the object: nobody edits them.
    """

    ref: Ref
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def created(cls, manifest: dict[str, Any]) -> Change:
        """A resource that is not there yet."""
        meta = manifest["metadata"]
        version = manifest["apiVersion"].rpartition("/")[2]
        ref = Ref(Kind.of(manifest), meta.get("namespace", ""), meta["name"], version)
        return cls(ref, None, manifest)

    def changed(self, *steps: str | int, to: Any) -> Change:
        """The same with one more value replaced; `to=None` takes it away."""
        after = dict(self.after or {})
        spot: Any = after
        for step, following in itertools.pairwise(steps):
            fitting = dict if isinstance(following, str) else list
            below = _step(spot, step)
            # else nothing is there, or nothing that any API server would hold
            spot[step] = copy.copy(below) if isinstance(below, fitting) else {}
            spot = spot[step]
        if to is not None:
            spot[steps[-1]] = copy.deepcopy(to)
        elif isinstance(spot, dict):
            spot.pop(steps[-1], None)
        else:
            del spot[steps[-1]]
        return Change(self.ref, self.before, after)


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of a fix in the picture of the cluster: it was made there, the checks run again.

    `clears` is None where that was not tried; `unknown` says why, or what could not be seen after.
    """

    clears: bool | None = None
    opens: tuple[str, ...] = ()  #: findings that were not there before
    unknown: tuple[str, ...] = ()
    checks: int = 0  #: how many were run again: those that read what changes

    @property
    def holds(self) -> bool:
        """Whether it clears its finding and opens no other, for certain."""
        return bool(self.clears) and not self.opens and not self.unknown


@dataclass(frozen=True, slots=True)
class Fix:
    """One way out, as data: resources before and after.

    Without `needs_review` it only adds what the configuration already asks for (`safe`);
    with it, it changes traffic or a value is a decision (`review`). `commands` stand for what
    no manifest can say (an annotation taken away, a restart) and are run after the changes.
    """

    title: str
    changes: tuple[Change, ...] = ()
    needs_review: bool = False
    commands: tuple[str, ...] = ()
    proof: Proof | None = None  #: filled in by `gwdoctor.remedy`

    @property
    def disposition(self) -> str:
        """`safe` or `review`."""
        return "review" if self.needs_review else "safe"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in the files that were read something stands."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the running system said or did, quoted: cut, on one line, and without secrets."""

    source: str  #: `event`, `log`, `handshake` or `connection`
    ref: Ref  #: what an event is about, whose log it is, what was connected to
    text: str
    container: str = ""
    count: int = 1  #: how often it was seen
    last: str = ""  #: when, RFC 3339 in UTC; empty where that is not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem, where it stands, why we think so, and the way out."""

    check: str
    title: str
    severity: Severity
    confidence: Confidence
    field: Field
    message: str
    because: tuple[Field, ...] = ()
    fix: Fix | None = None
    advice: str = ""  #: where there is no fix: what to decide, and between what
    marker: str = ""  #: tells findings of one check on one field apart; part of the fingerprint
    root: Resource | None = None  #: the object that `field` stands in; names its list items
    evidence: tuple[Evidence, ...] = ()
    #: Of a finding that is only what the running system says: the checks whose findings it proves
    #: where they concern one of the same objects. It is then told as their evidence.
    proves: tuple[str, ...] = ()
    concerns: tuple[Ref, ...] = ()  #: beside the object of `field`
    alone: bool = True  #: whether it is told where it proves none
    refutes: tuple[str, ...] = ()  #: the checks whose findings on the same objects it takes back
    origin: Origin | None = None  #: of `field`, where its object came from a file

    @property
    def id(self) -> str:
        """The check and a fingerprint of object and path: survives restarts and reordering."""
        ref = self.field.ref
        what = [
            self.check,
            str(ref.kind),
            ref.namespace,
            ref.name,
            *stable_path(self.field, self.root),
        ]
        text = json.dumps([*what, self.marker], ensure_ascii=False)
        return f"{self.check}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


#: What names an item of a list, in the order of preference.
_NAMES = ("name", "number", "containerPort", "port", "key", "host", "secretName", "path", "type")
#: What tells the nameless rules of a route apart: not what they do, which a fix may change.
_CONDITIONS = ("matches", "match", "sniHosts", "hosts")


def _item_name(item: Any) -> str:
    """A name of a list item that does not depend on its position; empty where it has none."""
    if isinstance(item, str):
        return item
    if isinstance(item, dict):
        for key in _NAMES:
            value = item.get(key)
            if isinstance(value, str | int):
                return f"{key}={value}"
            if isinstance(value, dict):
                inner = _item_name(value)
                if inner:
                    return f"{key}={inner}"
        for key in _CONDITIONS:
            if item.get(key):
                text = json.dumps(item[key], sort_keys=True, default=str)
                return f"{key}={hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return ""


class _Same:
    """A list of a resource, which nobody changes: the key of what is known about it."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __hash__(self) -> int:
        return id(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.items is other.items


@lru_cache(maxsize=256)  # a list of 10,000 may have a finding in each of its items
def _item_names(of: _Same) -> tuple[str, ...]:
    """A name for each item; those that have none are numbered among themselves."""
    numbers = itertools.count()
    return tuple(_item_name(item) or str(next(numbers)) for item in of.items)


def stable_path(spot: Field, root: Field | None) -> list[str]:
    """The path of a field with its list positions replaced by names of the items.

    Those that have none are numbered among themselves: the rule of a route that takes all the
    rest keeps its name when a fix moves it to the end.
    """
    value = root.value if root is not None else None
    steps: list[str] = []
    for step in spot.path:
        if isinstance(step, int) and isinstance(value, list) and 0 <= step < len(value):
            steps.append(_item_names(_Same(value))[step])
        else:
            steps.append(str(step))
        value = _step(value, step)
    return steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that could not be seen: a kind, everywhere or in a namespace, or one object.

    `rbac` is the rule (apiGroups, resources, verbs) that would show it, where rights are what lacks.
    `claimed` is False where the input never claimed to hold it (files without Secrets): such a
    gap is told when a check runs into it, and only then.
    """

    kind: Kind
    reason: str
    namespace: str = ""
    name: str = ""
    rbac: Mapping[str, Any] | None = None
    claimed: bool = True

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind.name}{' ' + self.name if self.name else ''}{where}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Something that was not looked at. Silence is not health.

    `problem` tells apart what ends a run differently: `bug`, a check of ours that broke; of the
    input `missing`, `broken`, `other` or `twice`, as `gwdoctor.source.manifests` has it.
    """

    check: str
    reason: str
    ref: Ref | None = None
    rbac: Mapping[str, Any] | None = None
    problem: str = ""

    @property
    def is_bug(self) -> bool:
        """Whether the check itself broke."""
        return self.problem == "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was scanned."""

    context: str = ""
    server: str = ""
    user: str = ""
    namespaces: tuple[str, ...] = ("*",)


def rfc3339(moment: datetime) -> str:
    """A time as Kubernetes writes it: in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All a renderer gets to see."""

    target: Target
    findings: tuple[Finding, ...]
    skips: tuple[Skip, ...]
    checks: int  #: checks that were run
    ran: tuple[str, ...] = ()  #: their ids
    inapplicable: tuple[str, ...] = ()  #: ids of those whose kinds are not installed
    not_applicable: int = 0  #: checks whose kinds are not installed in this cluster
    objects: int = 0
    seconds: float = 0.0
    incomplete: bool = False  #: the deadline ended the run before everything was read
    ignored: int = 0  #: findings below the thresholds of this run
    time: str = ""  #: when the cluster was seen, RFC 3339; empty for files, which have no time
    version: str = ""  #: of the gwdoctor that made it; empty: this one
    entry: Entry | None = None  #: the way of requests, where an output draws it
