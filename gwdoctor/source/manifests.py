"""From documents to resources; what cannot be used is named, and the rest is still read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gwdoctor import kinds, privatekeys
from gwdoctor.model import Origin, Ref, Resource
from gwdoctor.source import decode, jsontext
from gwdoctor.yamltext import reading

#: missing: a file that was named is not there, or cannot be opened.  broken: what should be a
#: manifest cannot be used.  other: it is no manifest.  twice: an object that came before.
Problem = Literal["missing", "broken", "other", "twice"]
#: What standard input is called.
STDIN = "stdin"


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """Something about the input that the user has to know."""

    place: str  #: `file` or `file:line`
    text: str
    problem: Problem = field(compare=False)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Manifests:
    """Collects objects, file by file.

    Args:
        default_namespace: where an object lives that does not say it.
    """

    def __init__(self, default_namespace: str = "default") -> None:
        self.resources: dict[Ref, Resource] = {}
        self.namespaces: set[str] = set()
        self.notes: dict[Note, None] = {}
        self.objects = 0  #: also those of kinds that no check reads
        self._default_namespace = default_namespace
        self._places: dict[Ref, str] = {}

    @property
    def origins(self) -> dict[Ref, Origin]:
        """Where each object stands; those from standard input have no place to go back to."""
        split = ((ref, *place.rpartition(":")[::2]) for ref, place in self._places.items())
        return {ref: Origin(file, int(line)) for ref, file, line in split if file != STDIN}

    def note(self, place: str, text: str, problem: Problem) -> None:
        """Remember something to tell."""
        self.notes.setdefault(Note(place, text, problem))

    def add_text(self, file: str, text: str, *, named: bool) -> None:
        """The documents of a YAML file. `named`: the user named this very file."""
        before = self.objects, len(self.notes)
        for document in reading.documents(text):
            if isinstance(document, reading.YamlError):
                self.note(f"{file}:{document.line}", _broken_yaml(document, text), "broken")
                continue
            for manifest in _unlisted(document.value):
                place = f"{file}:{document.line_of(manifest)}"
                self._add_plain(place, manifest, named=named)
        if before == (self.objects, len(self.notes)):
            self.note(file, "is empty: it holds no document", "broken" if named else "other")

    def add_json(self, file: str, data: bytes, *, named: bool) -> None:
        """The documents of a JSON file; raises jsontext.JsonError."""
        lines = jsontext.Lines(data)
        for raw in jsontext.documents(data):
            self._add_raw(file, raw, lines, named=named)

    # --- JSON, decoded straight to what is kept ----------------------------------------------

    def _add_raw(self, file: str, raw: msgspec.Raw, lines: jsontext.Lines, *, named: bool) -> None:
        place = f"{file}:{lines.of(raw)}"
        try:
            try:
                head = msgspec.json.decode(raw, type=jsontext.Head)
                if head.kind == "List" and head.items is not None:
                    for item in head.items:
                        self._add_raw(file, item, lines, named=named)
                    return
                if self._add_decoded(place, head, raw):
                    return
            except msgspec.ValidationError:
                pass  # the long way names the field
            for manifest in _unlisted(msgspec.json.decode(raw)):
                self._add_plain(place, manifest, named=named)
        except RecursionError:
            self.note(place, "is nested too deeply", "broken")
        except msgspec.DecodeError as error:  # half of a surrogate pair, which JSON lets pass
            self.note(place, f"is not valid JSON: {error}", "broken")

    def _add_decoded(self, place: str, head: jsontext.Head, raw: msgspec.Raw) -> bool:
        """Whether the object could be taken straight from its bytes."""
        if not (head.apiVersion and head.kind and head.metadata and head.metadata.name):
            return False
        if head.kind == "Secret" or head.kind.endswith("List"):
            return False  # what a snapshot has reduced already; items without a kind
        if decode.misnamed(head.metadata.name):
            return False
        group, _, version = head.apiVersion.rpartition("/")
        found = []
        for kind in kinds.by_name(head.kind, group):
            decoded: Any = msgspec.json.decode(raw, type=decode.wire_type(kind))
            if kinds.READINGS[kind].namespaced and not decoded.metadata.namespace:
                decoded.metadata.namespace = self._default_namespace
            may_hold_key = privatekeys.may_be_in(bytes(raw))
            found.append(decode.resource(kind, version, decoded, may_hold_key=may_hold_key))
        is_namespace = head.kind == "Namespace" and head.apiVersion == "v1"
        self._keep(place, head.metadata.name if is_namespace else head.metadata.namespace, found)
        return True

    # --- plain objects -----------------------------------------------------------------------

    def _add_plain(self, place: str, manifest: Any, *, named: bool) -> None:
        if manifest is None:
            return
        why = _not_kubernetes(manifest)
        if why:
            self.note(place, why, "broken" if named else "other")
            return
        metadata = manifest.get("metadata")
        try:
            if not isinstance(metadata, dict):
                raise decode.BadObject("metadata is missing")
            found = list(decode.resources(manifest, default_namespace=self._default_namespace))
        except decode.BadObject as error:
            self.note(place, f"{_name(manifest)}: {error}; correct this field", "broken")
        except RecursionError:
            self.note(place, f"{_name(manifest)}: is nested too deeply", "broken")
        else:
            is_namespace = manifest["kind"] == "Namespace" and manifest["apiVersion"] == "v1"
            self._keep(place, metadata.get("name" if is_namespace else "namespace"), found)

    def _keep(self, place: str, namespace: object, found: list[Resource]) -> None:
        self.objects += 1
        if isinstance(namespace, str) and namespace:
            self.namespaces.add(namespace)
        for resource in found:
            ref = resource.ref
            if ref.namespace:
                self.namespaces.add(ref.namespace)
            if ref in self.resources:
                earlier = self._places[ref]
                self.note(place, f"{ref} stands also at {earlier}; this one counts", "twice")
            self._places[ref] = place
            self.resources[ref] = resource


def _unlisted(document: Any) -> Iterator[Any]:
    """The objects of a document: of a List its items, with the kind that they may lack."""
    if isinstance(document, list):
        for item in document:
            yield from _unlisted(item)
        return
    kind = document.get("kind") if isinstance(document, dict) else None
    items = document.get("items") if isinstance(document, dict) else None
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield document
        return
    head = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
    for item in items:
        if head["kind"] and isinstance(item, dict) and not item.get("kind"):
            item.update(head)  # `kubectl get --raw` leaves kind and apiVersion to the list
        yield from _unlisted(item)


def _not_kubernetes(manifest: Any) -> str:
    """Why this is no Kubernetes object; empty when it is one."""
    if not isinstance(manifest, dict):
        return f"is no Kubernetes object but {_sort_of(manifest)}"
    for key in ("apiVersion", "kind"):
        value = manifest.get(key)
        if value is None or value == "":
            return f"is no Kubernetes object: {key} is missing"
        if not isinstance(value, str):
            return f"is no Kubernetes object: {key} is {_sort_of(value)}; quote it"
    if manifest["apiVersion"].startswith("kustomize.config.k8s.io/"):
        return "is a kustomization: render it first, `kubectl kustomize DIR`, and pipe it to -f -"
    return ""


def _sort_of(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "a mapping"


def _name(manifest: dict[str, Any]) -> str:
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    parts = (metadata.get("namespace"), metadata.get("name"))
    return f"{manifest['kind']} {'/'.join(str(part) for part in parts if part)}".rstrip()


def _broken_yaml(error: reading.YamlError, text: str) -> str:
    if "{{" in text:
        return (
            f"is a template, not a manifest ({error}): render it first, "
            "`helm template CHART`, and pipe it to -f -"
        )
    return f"is not valid YAML: {error}"
