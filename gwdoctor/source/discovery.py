"""Which of our kinds the server knows, in which version, and under which path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import msgspec

from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Kind
from gwdoctor.source import decode
from gwdoctor.source.connection import JSON, Connection, OutOfTime, Trouble

T = TypeVar("T")

AGGREGATED = (
    f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    f"{JSON};g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,{JSON}"
)


#: In the place of a group's name, where it is told so badly that even this is not known.
_NAMELESS = "?"


@dataclass(frozen=True, slots=True)
class Served:
    """Where a kind is found."""

    version: str
    plural: str
    root: str  #: /api/v1 or /apis/GROUP/VERSION
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of the list, or of one object."""
        steps = [self.root]
        if namespace and self.namespaced:
            steps += ["namespaces", quote(namespace, "")]
        steps += [self.plural, *([quote(name, "")] if name else ())]
        return "/".join(steps)


def can_be_a_name(text: str) -> bool:
    """Whether the API server could hold an object of this name: it has to fit into a path."""
    return text not in ("", ".", "..") and "/" not in text and "%" not in text


@dataclass(slots=True)
class Discovery:
    """What the server says about itself."""

    served: dict[Kind, Served] = field(default_factory=dict)
    missing: set[Kind] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    #: where discovery is forbidden: the kinds of which nobody says that they are there, and the
    #: versions to try when the first is not
    guessed: set[Kind] = field(default_factory=set)
    untried: dict[Kind, list[str]] = field(default_factory=dict)


class _ResourceKind(msgspec.Struct):
    kind: str = ""


class _Resource(msgspec.Struct, rename="camel"):
    resource: str = ""
    response_kind: _ResourceKind | None = None
    scope: str = ""
    verbs: list[str] | None = None


class _Version(msgspec.Struct):
    version: str = ""
    resources: list[_Resource] | None = None
    freshness: str = "Current"


class _Name(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    metadata: _Name
    versions: list[_Version]


class _Document(msgspec.Struct):
    """What stands at a root: groups with all that they have, or (`groups`, `versions`) names only."""

    kind: str = ""
    items: list[msgspec.Raw] | None = None
    groups: list[msgspec.Raw] | None = None
    versions: list[str] | None = None


def discover(connection: Connection, kinds: Iterable[Kind]) -> Discovery:
    """Ask the server. Raises Trouble where it does not answer at all."""
    wanted = sorted(kinds)
    found = Discovery()
    groups: dict[str, _Group] = {}
    silent: dict[str, str] = {}
    for root, members in _roots(wanted).items():
        try:
            groups.update(_groups(connection, root, members, silent))
        except OutOfTime:
            raise
        except Trouble as trouble:
            if trouble.status != 403:
                raise
            for kind in wanted:
                if kind.group in members:
                    _guess(kind, found, *READINGS[kind].versions)
    for kind in wanted:
        if kind in found.served:
            continue
        _place(kind, groups.get(kind.group), silent, found)
    return found


def _roots(kinds: Iterable[Kind]) -> dict[str, set[str]]:
    """The two discovery documents, and the groups that each has to tell about."""
    roots: dict[str, set[str]] = {"/api": set(), "/apis": set()}
    for kind in kinds:
        roots["/apis" if kind.group else "/api"].add(kind.group)
    return {root: members for root, members in roots.items() if members}


def _place(kind: Kind, group: _Group | None, silent: Mapping[str, str], found: Discovery) -> None:
    """Sort one kind into what is served, missing, or not to be known."""
    unknown = silent.get(kind.group) or silent.get(_NAMELESS)
    if group is None:
        if unknown:
            found.gaps.append(Gap(kind=kind, reason=unknown))
        else:
            found.missing.add(kind)
        return
    reading = READINGS[kind]
    offered = {
        version.version: resource
        for version in group.versions
        for resource in version.resources or ()
        if resource.resource == reading.plural
    }
    stale = [version.version for version in group.versions if version.freshness == "Stale"]
    if not offered:
        if stale:
            reason = f"the server behind the API group {kind.group} ({stale[0]}) does not answer"
            found.gaps.append(Gap(kind=kind, reason=reason))
        elif kind.group in silent:  # perhaps it is of the version that is not told about
            found.gaps.append(Gap(kind=kind, reason=silent[kind.group]))
        else:
            found.missing.add(kind)
        return
    version = next((v for v in reading.versions if v in offered), next(iter(offered)))
    if "list" not in (offered[version].verbs or ()):
        found.gaps.append(Gap(kind=kind, reason="the server does not let it be listed"))
        return
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    scope = offered[version].scope
    found.served[kind] = Served(version, reading.plural, root, scope != "Cluster")


def _groups(
    connection: Connection, root: str, members: set[str], silent: dict[str, str]
) -> dict[str, _Group]:
    document = connection.ask(root, _DOCUMENT, accept=AGGREGATED)
    if document.kind == "APIGroupDiscoveryList":
        told = (_told(raw, _GROUP, silent) for raw in document.items or ())
        groups = {group.metadata.name: group for group in told if group is not None}
    elif document.kind not in ("APIGroupList", "APIVersions"):
        raise Trouble(f"what answers at {root} is no API server")
    else:
        groups = dict(_legacy(connection, root, document, members, silent))
    if members.isdisjoint(groups) and members.isdisjoint(silent):
        raise Trouble(f"what answers at {root} is no API server")
    return groups


def _told(raw: msgspec.Raw, form: msgspec.json.Decoder[T], silent: dict[str, str]) -> T | None:
    """One group; of one that is told in no form of a group, only that it is there."""
    try:
        return form.decode(raw)
    except msgspec.ValidationError as error:
        reason = f"its API group is not told about: {decode.where(error)}"
    name = _NAMELESS
    with suppress(msgspec.ValidationError):
        named = _NAMED.decode(raw)
        name = named.metadata.name if named.metadata else named.name or _NAMELESS
    silent[name] = reason
    return None


# --- servers before 1.26, and proxies that drop the Accept header ------------------------


class _LegacyVersion(msgspec.Struct):
    version: str = ""


class _LegacyGroup(msgspec.Struct):
    name: str
    versions: list[_LegacyVersion]


class _LegacyResource(msgspec.Struct):
    name: str = ""
    kind: str = ""
    namespaced: bool = True
    verbs: list[str] | None = None


class _LegacyResources(msgspec.Struct):
    resources: list[_LegacyResource] | None


def _legacy(
    connection: Connection,
    root: str,
    document: _Document,
    members: set[str],
    silent: dict[str, str],
) -> Iterator[tuple[str, _Group]]:
    core = _LegacyGroup("", [_LegacyVersion(version) for version in document.versions or ()])
    told = (_told(raw, _LEGACY_GROUP, silent) for raw in document.groups or ())
    for group in [core] if root == "/api" else told:
        if group is None or group.name not in members:
            continue
        versions = []
        for version in group.versions:
            path = f"{root}/{group.name}/{version.version}".replace("//", "/")
            try:
                resources = connection.ask(path, _LEGACY_RESOURCES).resources or ()
            except OutOfTime:
                raise
            except Trouble as trouble:
                silent.setdefault(group.name, f"its API group is not told about: {trouble}")
                continue
            versions.append(
                _Version(
                    version.version,
                    [
                        _Resource(
                            r.name,
                            _ResourceKind(r.kind),
                            "Namespaced" if r.namespaced else "Cluster",
                            r.verbs,
                        )
                        for r in resources
                    ],
                )
            )
        if versions or group.name not in silent:
            yield group.name, _Group(_Name(group.name), versions)


# --- where discovery is forbidden --------------------------------------------------------


def next_guess(kind: Kind, found: Discovery) -> bool:
    """Go on to the next version of a kind that was not there; False where none is left."""
    versions = found.untried.pop(kind, [])
    if versions:
        _guess(kind, found, *versions)
    return bool(versions)


def _guess(kind: Kind, found: Discovery, version: str, *others: str) -> None:
    reading = READINGS[kind]
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    found.served[kind] = Served(version, reading.plural, root, reading.namespaced)
    found.guessed.add(kind)
    found.untried[kind] = list(others)


#: msgspec works a type out when it first meets it, and threads that do so at once may crash it
#: (0.22, json_decode_struct_map_inner): the main thread does it here, before there are others.
_DOCUMENT = msgspec.json.Decoder(_Document)
_GROUP = msgspec.json.Decoder(_Group)
_LEGACY_GROUP = msgspec.json.Decoder(_LegacyGroup)
_LEGACY_RESOURCES = msgspec.json.Decoder(_LegacyResources)


class _Named(msgspec.Struct):
    """What is left of a group in no form of one."""

    metadata: _Name | None = None
    name: str = ""


_NAMED = msgspec.json.Decoder(_Named)
