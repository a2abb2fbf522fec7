"""A report read back: from what `-o json` and `-o jsonl` write to what every renderer takes.

`document` of what is read here is the document that was read, so a report can be written in any
format later as well as at once. Fields that this version does not know are passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from gwdoctor.entry import Entry
from gwdoctor.model import (
    Change,
    Confidence,
    Evidence,
    Field,
    Finding,
    Fix,
    Kind,
    Origin,
    Path,
    Proof,
    Ref,
    Report,
    Severity,
    Skip,
    Target,
    rfc3339,
)
from gwdoctor.render.document import VERSION
from gwdoctor.source.decode import where

#: What renderers write as it is, and so has to be nothing else than it seems.
_Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+/[a-z0-9-]+\Z")]
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]+\Z")]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_INDEX = re.compile(r"0|[1-9][0-9]*")


class BadReport(ValueError):
    """Something that is no report, or one that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFinding(Finding):
    """A finding out of a document: it has its id from there, because its object is not at hand."""

    saved_id: str

    @property
    def id(self) -> str:
        """As it was when the report was made."""
        return self.saved_id


def read(data: bytes) -> Report:
    """The report in these bytes. Raises BadReport."""
    whole = _document(data)
    _confirm_version(whole)
    try:
        document = msgspec.convert(whole, _Document)
    except msgspec.ValidationError as error:
        raise BadReport(where(error)) from None
    _confirm_manifests(document)
    _confirm_counts(document)
    return document.report()


# --- text ---------------------------------------------------------------------------------------


def _document(data: bytes) -> Any:
    if not data.strip():
        raise BadReport("is empty")
    if data.startswith(b"\x1f\x8b"):
        raise BadReport("is compressed: unpack it first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadReport("is no text: it is not UTF-8") from None
    try:
        whole = _json(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _of_lines(text)
        raise BadReport(f"line {error.lineno}: is no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadReport(f"is no JSON of a report: {error}") from None
    return _joined([whole]) if _sort(whole) else whole


def _json(text: str) -> Any:
    return json.loads(text, parse_float=_finite, parse_constant=_no_number)


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number that JSON can hold")


def _of_lines(text: str) -> Any:
    """JSON lines, among which nothing else may stand."""
    items = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = _json(line)
        except (ValueError, RecursionError):
            raise BadReport(f"line {number}: is no JSON") from None
        if not _sort(item):
            raise BadReport(f"line {number}: is no line of a report: its type is missing")
        items.append(item)
    return _joined(items)


def _sort(item: Any) -> str:
    sort = item.get("type") if isinstance(item, dict) else None
    return sort if sort in ("report", "finding", "not_checked") else ""


def _joined(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The document of these lines."""
    heads = [item for item in items if _sort(item) == "report"]
    if len(heads) != 1:
        raise BadReport(f"has {len(heads)} lines of type report instead of one")
    lists = {
        "findings": [item for item in items if _sort(item) == "finding"],
        "not_checked": [item for item in items if _sort(item) == "not_checked"],
    }
    return heads[0] | lists


def _confirm_version(whole: Any) -> None:
    """Say what it is instead, before single fields are named."""
    if not isinstance(whole, dict):
        raise BadReport("is no report of gwdoctor: it is no JSON object")
    if "gwdoctor_snapshot" in whole:
        raise BadReport("is a snapshot, no report: scan it with --snapshot")
    tool = whole.get("tool")
    name = tool.get("name") if isinstance(tool, dict) else None
    if name != "gwdoctor":
        raise BadReport("is no report of gwdoctor: the field tool.name does not say so")
    version = whole.get("version")
    if isinstance(version, int) and version > VERSION:
        made_by = tool.get("version") if isinstance(tool, dict) else None
        raise BadReport(
            f"version: {version} is newer than {VERSION}, the one that this gwdoctor reads; "
            f"take gwdoctor {made_by or 'as new as the one that wrote it'}"
        )
    if version != VERSION or isinstance(version, bool):
        raise BadReport(f"version: {json.dumps(version)} is not {VERSION}")


# --- form ---------------------------------------------------------------------------------------


class _Object(msgspec.Struct):
    apiVersion: str  # noqa: N815 - the field's own name
    kind: str
    name: str
    namespace: str = ""

    def ref(self) -> Ref:
        group, _, version = self.apiVersion.rpartition("/")
        return Ref(Kind(self.kind, group), self.namespace, self.name, version)


class _Place(msgspec.Struct):
    object: _Object
    path: str

    def field(self) -> Field:
        return Field(self.object.ref(), _path(self.path), None)


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""


class _Manifest(msgspec.Struct):
    """What has to be there to say which object it is."""

    apiVersion: str  # noqa: N815
    kind: str
    metadata: _Metadata


class _Verified(msgspec.Struct):
    clears: bool | None
    opens: tuple[str, ...]
    unknown: tuple[str, ...]


class _Fix(msgspec.Struct):
    title: str
    disposition: Literal["safe", "review"]
    manifests: list[dict[str, Any]]
    delete: list[_Object]
    commands: tuple[str, ...]
    verified: _Verified | None

    def fix(self) -> Fix:
        """What is left of a fix to be applied: each manifest stands for itself."""
        proof = self.verified
        return Fix(
            self.title,
            (
                *map(Change.created, self.manifests),
                *(Change(gone.ref(), {}, None) for gone in self.delete),
            ),
            needs_review=self.disposition == "review",
            commands=self.commands,
            proof=Proof(proof.clears, proof.opens, proof.unknown) if proof else None,
        )


class _Origin(msgspec.Struct):
    file: str
    line: int


class _Evidence(msgspec.Struct):
    source: str
    object: _Object
    container: str | None
    text: str
    count: int
    last: str | None

    def evidence(self) -> Evidence:
        return Evidence(
            source=self.source,
            ref=self.object.ref(),
            container=self.container or "",
            text=self.text,
            count=self.count,
            last=self.last or "",
        )


class _Finding(msgspec.Struct):
    id: _Id
    check: _Id
    severity: Literal["critical", "high", "medium", "low"]
    confidence: Literal["certain", "likely", "possible"]
    title: str
    message: str
    object: _Object
    path: str
    because: list[_Place]
    fix: _Fix | None
    advice: str
    origin: _Origin | None = None
    evidence: list[_Evidence] = []

    def finding(self) -> Finding:
        return SavedFinding(
            saved_id=self.id,
            check=self.check,
            title=self.title,
            severity=Severity[self.severity.upper()],
            confidence=Confidence[self.confidence.upper()],
            field=_Place(self.object, self.path).field(),
            message=self.message,
            because=tuple(place.field() for place in self.because),
            fix=self.fix.fix() if self.fix else None,
            advice=self.advice,
            evidence=tuple(seen.evidence() for seen in self.evidence),
            origin=Origin(self.origin.file, self.origin.line) if self.origin else None,
        )


class _Skip(msgspec.Struct):
    check: _Id | None
    reason: str
    object: _Object | None
    rbac: dict[_Word, Any] | None
    problem: str | None = None

    def skip(self) -> Skip:
        return Skip(
            check=self.check or "",
            reason=self.reason,
            ref=self.object.ref() if self.object else None,
            rbac=self.rbac,
            problem=self.problem or "",
        )


class _Tool(msgspec.Struct):
    name: str
    version: str


class _Target(msgspec.Struct):
    context: str
    server: str
    user: str
    namespaces: tuple[str, ...]


class _Summary(msgspec.Struct):
    critical: int
    high: int
    medium: int
    low: int
    checks: int
    not_applicable: int
    objects: int
    not_checked: int
    ignored: int
    incomplete: bool
    seconds: float


class _Checks(msgspec.Struct):
    run: tuple[_Id, ...] = ()
    not_applicable: tuple[_Id, ...] = ()


class _Document(msgspec.Struct):
    """`gwdoctor.render.document`, the other way round."""

    version: int
    tool: _Tool
    target: _Target
    summary: _Summary
    findings: list[_Finding]
    not_checked: list[_Skip]
    time: _Time | None = None
    checks: _Checks = msgspec.field(default_factory=_Checks)
    entry: Entry | None = None

    def report(self) -> Report:
        target, summary = self.target, self.summary
        return Report(
            target=Target(
                context=target.context,
                server=target.server,
                user=target.user,
                namespaces=target.namespaces,
            ),
            findings=tuple(item.finding() for item in self.findings),
            skips=tuple(item.skip() for item in self.not_checked),
            checks=summary.checks,
            ran=self.checks.run,
            inapplicable=self.checks.not_applicable,
            not_applicable=summary.not_applicable,
            objects=summary.objects,
            seconds=summary.seconds,
            incomplete=summary.incomplete,
            ignored=summary.ignored,
            time=rfc3339(self.time) if self.time else "",
            version=self.tool.version,
            entry=self.entry,
        )


def _confirm_counts(document: _Document) -> None:
    """A log that was cut lacks lines, and nothing else would show it."""
    summary = document.summary
    counts = [(str(severity), getattr(summary, str(severity))) for severity in Severity]
    for severity, told in counts:
        found = sum(item.severity == severity for item in document.findings)
        if told != found:
            raise BadReport(f"summary.{severity}: {told} findings, of which {found} are there")
    found = len(document.not_checked)
    if summary.not_checked != found:
        raise BadReport(f"summary.not_checked: {summary.not_checked}, of which {found} are there")


def _confirm_manifests(document: _Document) -> None:
    """Each says which object it is; the rest of it is nobody's business here."""
    for number, item in enumerate(document.findings):
        for position, manifest in enumerate(item.fix.manifests if item.fix else ()):
            try:
                msgspec.convert(manifest, _Manifest)
            except msgspec.ValidationError as error:
                place = f"findings[{number}].fix.manifests[{position}]"
                raise BadReport(f"{place}.{where(error)}") from None


def _path(pointer: str) -> Path:
    """The steps of a JSON pointer; what may be a position in a list is taken for one."""
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
    return tuple(int(step) if _INDEX.fullmatch(step) else step for step in steps)
