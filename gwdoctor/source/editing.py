"""Changes made in the files that hold the manifests: only the fields that change.

Comments and layout are kept: a document is written anew by ruamel.yaml, and of what that changes
only the lines that the change itself touches are taken over. What was written is read again and
compared with what it has to mean. Whatever cannot be placed for certain is refused, with a reason.
"""

from __future__ import annotations

import copy
import difflib
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwdoctor import wholefile
from gwdoctor.model import Change, Kind, Ref
from gwdoctor.source.files import SUFFIXES
from gwdoctor.yamltext import reading
from gwdoctor.yamltext.scalars import resolved
from gwdoctor.yamltext.writing import dump

#: mapping, sequence, offset: the ways to indent that people use.
_INDENTS = ((2, 2, 0), (2, 4, 2), (4, 4, 0), (4, 4, 2), (4, 6, 4))
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_START = re.compile(r"^---[ \t]*(#.*)?\n", re.MULTILINE)


class NotPlaced(Exception):
    """A change that has no certain place in the files; the text says why."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where an object is defined: a document of a file, and why it cannot be edited there."""

    file: str
    position: int
    obstacle: str = ""


class Editor:
    """The manifests below some paths, edited in memory until `write`.

    Args:
        paths: files and folders.
        default_namespace: where an object lives that does not say it.
    """

    def __init__(self, paths: Iterable[str], default_namespace: str = "default") -> None:
        self._default_namespace = default_namespace
        self._bytes: dict[str, bytes] = {}
        self._before: dict[str, str] = {}
        self._documents: dict[str, list[str]] = {}
        self._spots: dict[Ref, list[_Spot]] = defaultdict(list)
        self._patched: dict[tuple[str, str], str] = {}
        self._patches: dict[str, str] = {}
        for file in _files(paths):
            self._read(file)
        for file in list(self._documents):
            if os.path.basename(file) in _KUSTOMIZATIONS:
                self._read_kustomization(file)

    def apply(self, changes: Iterable[Change], beside: Ref) -> list[str]:
        """Make all these changes, or none of them; returns the files. Raises NotPlaced.

        A new object is put behind the one that it belongs to, `beside`.
        """
        saved = {file: list(texts) for file, texts in self._documents.items()}
        try:
            return list(dict.fromkeys([self._apply(change, beside) for change in changes]))
        except NotPlaced:
            self._documents = saved
            raise

    def diff(self) -> str:
        """What was edited so far, as a unified diff."""
        return "".join(
            line
            for file, text in self._edited()
            for line in difflib.unified_diff(
                self._before[file].splitlines(keepends=True),
                text.splitlines(keepends=True),
                file,
                file,
            )
        )

    def write(self) -> list[str]:
        """Write what was edited, file by file, whole or not at all; returns the files.

        Raises NotPlaced for a file that somebody else has written in the meantime, and OSError.
        """
        edited = list(self._edited())
        for file, _ in edited:
            if Path(file).read_bytes() != self._bytes[file]:
                raise NotPlaced(f"{file} has changed since it was read; nothing was written")
        for file, text in edited:
            has_crlf = b"\r\n" in self._bytes[file]
            data = (text.replace("\n", "\r\n") if has_crlf else text).encode()
            wholefile.write(file, data)
        return [file for file, _ in edited]

    def _edited(self) -> Iterator[tuple[str, str]]:
        for file, texts in sorted(self._documents.items()):
            text = "".join(texts)
            if text != self._before[file]:
                yield file, text

    # --- reading -----------------------------------------------------------------------------

    def _read(self, file: str) -> None:
        data = Path(file).read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return
        lines = text.count("\n")
        if "\r" in text and not text.count("\r") == text.count("\r\n") == lines:
            return  # mixed: no way to write it as it was
        text = text.replace("\r\n", "\n")
        self._bytes[file], self._before[file] = data, text
        is_json = text.lstrip().startswith(("{", "[")) and file.endswith(".json")
        texts = [chunk for chunk, _ in reading.chunks(text)]
        self._documents[file] = texts
        for position, chunk in enumerate(texts):
            found = list(reading.documents(chunk))
            for document in found:
                if isinstance(document, reading.YamlError):
                    continue
                obstacle = ""
                if is_json:
                    obstacle = "it is JSON, of which the layout cannot be kept"
                elif "{{" in chunk:
                    obstacle = "its file is a template"
                elif len(found) > 1:
                    obstacle = "its documents are not separated by ---"
                self._register(_Spot(file, position, obstacle), document.value)

    def _register(self, spot: _Spot, value: Any) -> None:
        if not isinstance(value, dict):
            return
        if isinstance(value.get("items"), list) and str(value.get("kind", "")).endswith("List"):
            inner = _Spot(spot.file, spot.position, spot.obstacle or "it stands in a List")
            for item in value["items"]:
                self._register(inner, item)
            return
        metadata = value.get("metadata")
        if not (isinstance(metadata, dict) and value.get("kind") and value.get("apiVersion")):
            return
        kind, name = Kind.of(value), str(metadata.get("name", ""))
        self._spots[_place(kind, str(metadata.get("namespace") or ""), name)].append(spot)

    def _read_kustomization(self, file: str) -> None:
        folder = os.path.dirname(file)
        for document in reading.documents("".join(self._documents[file])):
            if isinstance(document, reading.YamlError) or not isinstance(document.value, dict):
                continue
            for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
                listed = document.value.get(key)
                for patch in listed if isinstance(listed, list) else ():
                    self._read_patch(file, folder, patch)

    def _read_patch(self, file: str, folder: str, patch: Any) -> None:
        told = patch if isinstance(patch, dict) else {"path": patch}
        path, inline, target = told.get("path"), told.get("patch"), told.get("target")
        if isinstance(path, str):
            if "\n" in path:
                inline = path
            else:
                self._patches[os.path.normpath(os.path.join(folder, path))] = file
                inline = "".join(
                    self._documents.get(os.path.normpath(os.path.join(folder, path)), [])
                )
        if isinstance(target, dict):
            self._patched[str(target.get("kind", "")), str(target.get("name", ""))] = file
        for document in reading.documents(inline) if isinstance(inline, str) else ():
            value = None if isinstance(document, reading.YamlError) else document.value
            metadata = value.get("metadata") if isinstance(value, dict) else None
            if isinstance(value, dict) and isinstance(metadata, dict):
                spot = str(value.get("kind", "")), str(metadata.get("name", ""))
                self._patched[spot] = file

    # --- one change --------------------------------------------------------------------------

    def _apply(self, change: Change, beside: Ref) -> str:
        if change.before is None:
            spot = self._spot(beside, "nothing says where it belongs: ")
            texts = self._documents[spot.file]
            texts[-1] = _ended(texts[-1])
            texts.append(f"---\n{dump(change.after)}")
            return spot.file
        spot = self._spot(change.ref)
        texts = self._documents[spot.file]
        if change.after is None:
            others = [t for n, t in enumerate(texts) if n != spot.position and _holds_some(t)]
            if not others:
                raise NotPlaced(
                    f"{change.ref} is alone in {spot.file}: delete the file, and what names it"
                )
            texts[spot.position] = ""
        else:
            texts[spot.position] = _edited(texts[spot.position], change)
        return spot.file

    def _spot(self, ref: Ref, what: str = "") -> _Spot:
        """The one place where an object is defined and may be edited."""
        spots = list(self._spots.get(_place(ref.kind, ref.namespace, ref.name), ()))
        if ref.namespace == self._default_namespace:
            spots += self._spots.get(_place(ref.kind, "", ref.name), ())
        if not spots:
            raise NotPlaced(f"{what}{ref} is in none of the files")
        if len(spots) > 1:
            files = ", ".join(dict.fromkeys(spot.file for spot in spots))
            raise NotPlaced(f"{what}{ref} is defined {len(spots)} times ({files})")
        spot = spots[0]
        if spot.obstacle:
            raise NotPlaced(f"{what}{ref} in {spot.file}: {spot.obstacle}")
        patch = self._patches.get(os.path.normpath(spot.file))
        if patch:
            raise NotPlaced(f"{what}{spot.file} is a patch of {patch}")
        overlay = self._patched.get((ref.kind.name, ref.name)) or self._patched.get(
            (ref.kind.name, "")
        )
        if overlay:
            raise NotPlaced(f"{what}{ref} in {spot.file} is patched by {overlay}")
        return spot


def _place(kind: Kind, namespace: str, name: str) -> Ref:
    return Ref(Kind(kind.name, kind.group), namespace, name)


def _files(paths: Iterable[str]) -> Iterator[str]:
    """The files that a scan of these paths reads."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                is_one = name.endswith(SUFFIXES) and not name.startswith(".")
                if is_one or name in _KUSTOMIZATIONS:
                    yield os.path.join(folder, name)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _holds_some(chunk: str) -> bool:
    return any(
        isinstance(d, reading.Document) and d.value is not None for d in reading.documents(chunk)
    )


# --- one document -----------------------------------------------------------------------------


def _edited(chunk: str, change: Change) -> str:
    """A document after the change, its other lines as they were."""
    plain = _value(chunk)
    wanted = json.loads(json.dumps(plain))  # what an alias shares is apart here
    _edit(wanted, change.before, change.after, "")
    start = _START.search(chunk)
    head, body = (chunk[: start.end()], chunk[start.end() :]) if start else ("", chunk)
    if re.search(r"^(\.\.\.|---)", body, re.MULTILINE):
        raise NotPlaced(f"{change.ref}: the layout of its document cannot be kept")
    text = head + _rewritten(_ended(body), change)
    if _value(text) != wanted:
        raise NotPlaced(f"{change.ref}: the value comes from an alias or a merge key")
    lost = [
        line
        for line in difflib.ndiff(chunk.splitlines(), text.splitlines())
        if line.startswith("- ") and line[2:].lstrip().startswith("#")
    ]
    if lost:
        raise NotPlaced(f"{change.ref}: the comment {lost[0][2:].strip()!r} would be lost")
    return text


def _value(chunk: str) -> Any:
    found = list(reading.documents(chunk))
    if len(found) != 1 or isinstance(found[0], reading.YamlError):
        raise NotPlaced("the document could not be read after the change")
    return found[0].value


def _rewritten(body: str, change: Change) -> str:
    from ruamel.yaml.error import YAMLError

    try:
        renderings = [(_dumped(body, indent), indent) for indent in _INDENTS]
        unchanged, indent = min(renderings, key=lambda made: _distance(body, made[0]))
        return _merged(body, unchanged, _dumped(body, indent, change), change)
    except YAMLError:
        raise NotPlaced(f"{change.ref}: ruamel.yaml cannot read its document") from None


def _dumped(body: str, indent: tuple[int, int, int], change: Change | None = None) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(mapping=indent[0], sequence=indent[1], offset=indent[2])
    node = yaml.load(body)
    if change is not None:
        _edit(node, change.before, change.after, "", styled=True)
    out = io.StringIO()
    yaml.dump(node, out)
    return out.getvalue()


def _distance(one: str, other: str) -> int:
    mine, theirs = one.splitlines(), other.splitlines()
    same = difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    return max(len(mine), len(theirs)) - sum(block.size for block in same)


def _merged(body: str, unchanged: str, edited: str, change: Change) -> str:
    """The body, with the lines that the edit touches as they are in `edited`."""
    if unchanged == body:
        return edited
    mine, theirs = body.splitlines(keepends=True), unchanged.splitlines(keepends=True)
    new = edited.splitlines(keepends=True)
    mine_of: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(None, theirs, mine, autojunk=False)
    for tag, first, last, at, end in matcher.get_opcodes():
        if tag == "equal" or last - first == end - at:  # line by line, but for its spaces
            mine_of |= {first + n: at + n for n in range(last - first)}
    merged = list(mine)
    opcodes = difflib.SequenceMatcher(None, theirs, new, autojunk=False).get_opcodes()
    for tag, first, last, new_first, new_last in reversed(opcodes):
        if tag == "equal":
            continue
        touched = [mine_of.get(n, -1) for n in range(first, last)]
        at = touched[0] if touched else mine_of.get(first - 1, -2) + 1 if first else 0
        if at < 0 or touched != list(range(at, at + len(touched))):
            raise NotPlaced(f"{change.ref}: the layout of its document cannot be kept")
        merged[at : at + len(touched)] = new[new_first:new_last]
    return "".join(merged)


# --- values -----------------------------------------------------------------------------------


def _edit(node: Any, before: Any, after: Any, path: str, *, styled: bool = False) -> None:
    """Make in `node`, plain or of ruamel, what leads from `before` to `after`."""
    if isinstance(before, list):
        _edit_list(node, before, after, path, styled=styled)
        return
    for key in [*before, *(key for key in after if key not in before)]:
        spot = f"{path}/{key}"
        if key in before and key in after and before[key] == after[key]:
            continue
        there = node.get(key)
        if not _agree(there, before.get(key)):
            raise NotPlaced(f"{spot} is not what was scanned: another fix changed it; run it again")
        if key not in after:
            del node[key]
        elif _both(dict, before.get(key), after[key]) or _both(list, before.get(key), after[key]):
            _edit(there, before[key], after[key], spot, styled=styled)
        else:
            node[key] = _styled(after[key], there) if styled else copy.deepcopy(after[key])


def _edit_list(node: Any, before: Any, after: Any, path: str, *, styled: bool) -> None:
    if len(node) != len(before):
        raise NotPlaced(f"{path} is not what was scanned: another fix changed it; run it again")
    old, new = [_key(item) for item in before], [_key(item) for item in after]
    opcodes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for tag, first, last, new_first, new_last in reversed(opcodes):
        if tag == "equal":
            continue
        pairs = min(last - first, new_last - new_first)
        for position in reversed(range(first + pairs, last)):
            del node[position]
        for offset, item in enumerate(after[new_first + pairs : new_last]):
            made = _styled(item, None) if styled else copy.deepcopy(item)
            node.insert(first + pairs + offset, made)
        for offset in range(pairs):
            was, becomes = before[first + offset], after[new_first + offset]
            if _both(dict, was, becomes):
                inner = f"{path}/{first + offset}"
                _edit(node[first + offset], was, becomes, inner, styled=styled)
            else:
                there = node[first + offset]
                node[first + offset] = _styled(becomes, there) if styled else becomes


def _key(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)


def _both(sort: type, one: Any, other: Any) -> bool:
    return isinstance(one, sort) and isinstance(other, sort)


def _agree(there: Any, scanned: Any) -> bool:
    """Whether a value in the file may be the one that was scanned (of which parts may be cut)."""
    if isinstance(scanned, dict):
        return isinstance(there, dict)
    if isinstance(scanned, list):
        return isinstance(there, list) and len(there) == len(scanned)
    if isinstance(scanned, str) and isinstance(there, str):
        return there == scanned
    return (there is None) == (scanned is None)  # the numbers of YAML are compared at the end


def _styled(value: Any, instead_of: Any) -> Any:
    """A value as ruamel writes it so that kubectl reads the same."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import (
        DoubleQuotedScalarString,
        LiteralScalarString,
        SingleQuotedScalarString,
    )

    match value:
        case dict():
            made = CommentedMap()
            for key, item in value.items():
                made[_styled(key, None)] = _styled(item, None)
            return made
        case list():
            return CommentedSeq(_styled(item, None) for item in value)
        case str():
            if "\n" in value:
                return LiteralScalarString(value)
            if isinstance(instead_of, DoubleQuotedScalarString):
                return DoubleQuotedScalarString(value)
            is_text = isinstance(resolved(value), str)
            if isinstance(instead_of, SingleQuotedScalarString) or not is_text:
                return SingleQuotedScalarString(value)
    return value
