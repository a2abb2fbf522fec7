"""From bytes or plain objects to resources: cut to the view of their kind while decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gwdoctor import kinds, privatekeys
from gwdoctor.kinds import READINGS, Reading, SecretView
from gwdoctor.model import Kind, Metadata, Ref, Resource
from gwdoctor.source import secrets

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: What a decoder raises over bytes that are no JSON.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BadObject(ValueError):
    """An object that does not have the form its kind promises; the text names the field."""


def wire_type(kind: Kind) -> type[msgspec.Struct]:
    """The type that bytes of this kind are decoded to."""
    return secrets.RawSecret if kind == kinds.SECRET else READINGS[kind].view


def resource(
    kind: Kind, version: str, decoded: msgspec.Struct, *, may_hold_key: bool = True
) -> Resource:
    """A decoded object as it is kept: a Secret reduced, of any other the private keys cut out.

    `may_hold_key` is False where `privatekeys.may_be_in` says that its bytes hold none.
    """
    reading = READINGS[kind]
    view: Any = secrets.reduce(decoded) if isinstance(decoded, secrets.RawSecret) else decoded
    if may_hold_key:
        _cut_keys(view)
    metadata: Metadata = view.metadata
    if metadata.annotations:
        metadata.annotations.pop(_LAST_APPLIED, None)
    _share(metadata)
    if reading.trim is not None:
        reading.trim(view)
    namespace = (metadata.namespace or "") if reading.namespaced else ""
    return Resource(Ref(kind, namespace, metadata.name, version), (), view)


def _cut_keys(view: Any) -> None:
    if isinstance(view, SecretView):  # certificates and names are left of it; these are texts
        privatekeys.cut(view.metadata)
        view.id = privatekeys.cut(view.id)
    else:
        privatekeys.cut(view)


def _share(metadata: Metadata) -> None:
    """Keep one copy of the texts that thousands of objects have in common."""
    if metadata.namespace:
        metadata.namespace = intern(metadata.namespace)
    if metadata.creationTimestamp:
        metadata.creationTimestamp = intern(metadata.creationTimestamp)
    labels = metadata.labels
    if labels:
        for key, value in labels.items():
            labels[key] = intern(value)


def resources(
    manifest: Mapping[str, Any], *, default_namespace: str = "default"
) -> Iterator[Resource]:
    """A manifest as the resources that gwdoctor keeps of it: none for a kind it does not read.

    Raises BadObject, naming the field, for one that no API server would accept.
    """
    name, group = str(manifest.get("kind", "")), str(manifest.get("apiVersion", ""))
    group, _, version = group.rpartition("/")
    for kind in kinds.by_name(name, group):
        reading: Reading = READINGS[kind]
        wanted = reading.view
        if kind == kinds.SECRET and not ("keys" in manifest and "data" not in manifest):
            wanted = secrets.RawSecret  # not one that a snapshot has reduced already
        try:
            decoded = msgspec.convert(_with_text_keys(manifest), type=wanted)
        except msgspec.ValidationError as error:
            raise BadObject(where(error)) from None
        metadata: Any = decoded.metadata  # type: ignore[attr-defined]
        if wrong := misnamed(metadata.name):
            raise BadObject(wrong)
        if reading.namespaced and not metadata.namespace:
            metadata.namespace = default_namespace
        yield resource(kind, version, decoded)


def misnamed(name: str) -> str:
    """Why no API server holds an object of this name, empty where one may.

    One that begins with a dash would be an option in the commands that we print: `--all`.
    """
    if not name:
        return "metadata.name is missing"
    return "metadata.name begins with a dash" if name.startswith("-") else ""


def _with_text_keys(value: Any) -> Any:
    """As JSON has it: YAML reads the key of `80: {}` as a number, the API server as a text."""
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): _with_text_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value


def where(error: msgspec.ValidationError) -> str:
    """What is wrong with an object, and in which of its fields."""
    text, _, path = str(error).partition(" - at `$")
    place = path.rstrip("`").replace("[...]", ".*").lstrip(".")
    return f"{place}: {text}" if place else text


def is_web_page(body: bytes | bytearray) -> bool:
    """Whether it is what a proxy or a login says in the server's place."""
    return body.lstrip()[:1] == b"<"


class OtherAnswer(Exception):
    """An answer to another question: somebody on the way has mixed them up, or harmed it."""


class _Place(msgspec.Struct):
    name: str = ""
    namespace: str | None = None


class Head(msgspec.Struct):
    """The beginning of an object, or a Status."""

    kind: str = ""
    metadata: _Place = msgspec.field(default_factory=_Place)
    status: Any = None


HEAD = msgspec.json.Decoder(Head)


class Form(Protocol[T_co]):
    """What reads an answer: a decoder of msgspec, or one of these."""

    def decode(self, body: bytearray, /) -> T_co:
        """Raises what is UNREADABLE, or OtherAnswer."""
        ...


@dataclass(frozen=True, slots=True)
class About(Generic[T]):
    """Reads the answer to a question about one object, and no other."""

    kind: str
    namespace: str
    name: str
    form: msgspec.json.Decoder[T]

    def decode(self, body: bytearray, /) -> T:
        """As its form has it. Raises OtherAnswer for what is about another."""
        head = HEAD.decode(body)
        asked = self.namespace, self.name
        if (head.metadata.namespace or "", head.metadata.name) != asked or head.kind not in (
            self.kind,
            "PartialObjectMetadata",
        ):
            raise OtherAnswer
        return self.form.decode(body)


@dataclass(frozen=True, slots=True)
class Gone:
    """Reads what the server says of an object that it has deleted: the object, or Success."""

    about: About[Head]

    def decode(self, body: bytearray, /) -> Head:
        """As About does."""
        head = HEAD.decode(body)
        if (head.kind, head.status) == ("Status", "Success"):
            return head
        return self.about.decode(body)
