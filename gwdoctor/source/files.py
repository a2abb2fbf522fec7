"""The source for files: manifests and `kubectl get` dumps, in folders and on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Kind
from gwdoctor.source import jsontext, manifests
from gwdoctor.source.batch import Batch, Want
from gwdoctor.source.manifests import Manifests, Note

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"


class Files:
    """Everything in these files, read at once. A `Source`.

    A folder is searched for manifests; hidden files and folders are passed over. `-` is standard
    input. Files tell three answers apart, as a cluster does: see `list`.
    """

    def __init__(self, paths: Sequence[str], *, default_namespace: str = "default") -> None:
        self._manifests = Manifests(default_namespace)
        for path in paths:
            self._read(path)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What could not be used, or not as it stands."""
        return tuple(self._manifests.notes)

    @property
    def objects(self) -> int:
        """How many Kubernetes objects there are, also of kinds that no check reads."""
        return self._manifests.objects

    def list(self, kinds: Iterable[Kind]) -> Batch:
        """What these files hold of these kinds, and what they do not claim to hold.

        A kind that others refer to by name, and of which there is not one object, lives
        elsewhere, and so does everything in a namespace of which there is nothing: nothing can be
        said about them. A kind that only adds to others (`Reading.policy`) and is not there does
        not exist.
        """
        wanted = frozenset(kinds)
        resources = self._manifests.resources
        found = tuple(resource for ref, resource in resources.items() if ref.kind in wanted)
        present = {resource.ref.kind for resource in found}
        elsewhere = (k for k in sorted(wanted - present) if not READINGS[k].policy)
        return Batch(
            resources=found,
            gaps=tuple(
                Gap(kind=kind, reason=f"no {kind.name} is among the files", claimed=False)
                for kind in elsewhere
            ),
            namespaces=frozenset(self._manifests.namespaces),
            origins=self._manifests.origins,
        )

    def fetch(self, wants: Iterable[Want]) -> Batch:
        """Nothing: all there is was read."""
        return Batch()

    # --- reading -----------------------------------------------------------------------------

    def _read(self, path: str) -> None:
        if path == STDIN:
            self._add(manifests.STDIN, sys.stdin.buffer.read(), named=True)
        elif path.startswith(("http://", "https://")):
            self._manifests.note(path, "is a URL: download it, or pipe it to `-f -`", "missing")
        elif os.path.isdir(path):
            self._read_folder(path)
        else:
            self._read_file(path, named=True)

    def _read_folder(self, path: str) -> None:
        files: list[str] = []
        for folder, folders, names in os.walk(path, onerror=self._unreadable_folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            files += [
                os.path.join(folder, name)
                for name in names
                if name.endswith(SUFFIXES) and not name.startswith(".")
            ]
        if not files:
            text = "holds no file named *.yaml, *.yml or *.json"
            self._manifests.note(path, text, "missing")
        for file in sorted(files):
            self._read_file(file, named=False)

    def _unreadable_folder(self, error: OSError) -> None:
        self._manifests.note(str(error.filename), f"cannot be read: {error.strerror}", "broken")

    def _read_file(self, path: str, *, named: bool) -> None:
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            self._manifests.note(path, "does not exist", "missing" if named else "broken")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            text = f"cannot be read: {reason}"
            self._manifests.note(path, text, "missing" if named else "broken")
        else:
            self._add(path, data, named=named)

    def _add(self, file: str, data: bytes, *, named: bool) -> None:
        if data.startswith(b"\x1f\x8b"):
            text = "is compressed; if it is a snapshot, read it with --snapshot"
            self._manifests.note(file, text, "broken")
            return
        if data.lstrip().startswith((b"{", b"[")):
            try:
                self._manifests.add_json(file, data, named=named)
            except jsontext.JsonError as error:
                if not _is_flow_yaml(data):
                    place = f"{file}:{error.line}"
                    self._manifests.note(place, f"is not valid JSON: {error}", "broken")
                    return
            else:
                return
        decoded = _text(data)
        if decoded is None:
            self._manifests.note(file, "is no text: it is not UTF-8", "broken")
        else:
            self._manifests.add_text(file, decoded, named=named)


def _text(data: bytes) -> str | None:
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # what `>` writes in PowerShell
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        return None


def _is_flow_yaml(data: bytes) -> bool:
    """Whether this begins as YAML does and JSON never: a brace, and a key without quotes."""
    return not data.lstrip()[:200].lstrip(b"{[ \t\r\n").startswith((b'"', b"}", b"]"))
