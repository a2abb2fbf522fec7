"""A fix by itself: the manifests to pipe on, with comments that say what they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gwdoctor import changes
from gwdoctor.model import Change, Finding, Ref
from gwdoctor.render import document, words
from gwdoctor.render.words import visible
from gwdoctor.yamltext.writing import dump

FORMATS = ["yaml", "json", "patch", "kubectl"]


@dataclass(frozen=True, slots=True)
class Case:
    """A finding, and what was found out about its fix.

    `server` says of each changed object why the API server would not take the change, empty where
    it would; None: it was not asked. `unanswered` says why it did not say so.
    """

    finding: Finding
    owners: Mapping[Ref, str] = field(default_factory=dict)
    server: Mapping[Ref, str] | None = None
    unanswered: Mapping[Ref, str] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is changed, if a fix can say it."""
        return self.finding.fix.changes if self.finding.fix else ()

    @property
    def refused(self) -> bool:
        """Whether the API server would not take some of it."""
        return any((self.server or {}).values())


def render(cases: Iterable[Case], form: str, *, diff: bool = False) -> str:
    """These fixes in one of FORMATS, or as diffs."""
    cases = tuple(cases)
    if form == "json":
        return json.dumps([_document(case) for case in cases], indent=2) + "\n"
    if form == "patch":
        patches = [patch for case in cases for patch in _patches(case)]
        return json.dumps(patches, indent=2) + "\n"
    body = _diff if diff else {"yaml": _yaml, "kubectl": _kubectl}[form]
    parts = ("\n".join([*_head(case), *body(case)]) for case in cases)
    return ("\n---\n" if form == "yaml" and not diff else "\n\n").join(parts) + "\n"


# --- the comment ------------------------------------------------------------------------------


def _head(case: Case) -> Iterator[str]:
    finding = case.finding
    yield f"# {finding.id}"
    yield f"# {words.name(finding.field.ref)}: {visible(finding.message)}"
    if finding.fix is None:
        yield f"# decide: {visible(finding.advice)}"
        for spot in (finding.field, *finding.because):
            yield f"#   between: {words.place(spot)}"
        return
    yield f"# fix ({finding.fix.disposition}): {visible(finding.fix.title)}"
    for change in case.changes:
        yield f"#   {_what(change)}"
    if finding.fix.proof is not None:
        again = f" ({words.count(finding.fix.proof.checks, 'check')} run again in memory)"
        yield f"# {words.proof(finding.fix.proof)}{again if finding.fix.proof.checks else ''}"
    if finding.advice:
        yield f"# note: {visible(finding.advice)}"
    for ref, refusal in (case.server or {}).items():
        told = f"refuses it: {visible(refusal)}" if refusal else "accepts it (dry run)"
        yield f"# API server, {words.name(ref)}: {told}"
    for ref, problem in case.unanswered.items():
        yield f"# API server, {words.name(ref)}: did not say whether it accepts it: {visible(problem)}"
    for ref, owner in case.owners.items():
        yield f"# owner of {words.name(ref)}: {visible(owner)}"


def _what(change: Change) -> str:
    name = words.name(change.ref)
    if change.before is None:
        return f"creates {name}"
    if change.after is None:
        return f"deletes {name}"
    places = dict.fromkeys(
        step["path"] for step in changes.json_patch(change) if step["op"] != "test"
    )
    return f"changes {name}: {visible(', '.join(places))}"


# --- the bodies -------------------------------------------------------------------------------


def _manifests(case: Case) -> list[dict[str, Any]]:
    return changes.manifests(case.finding.fix) if case.finding.fix else []


def _afterwards(case: Case) -> Iterator[str]:
    """What comes after the manifests: patches, deletions, then the other commands."""
    if case.finding.fix:
        yield from map(visible, changes.commands(case.finding.fix))


def _yaml(case: Case) -> Iterator[str]:
    manifests = _manifests(case)
    if manifests:
        yield f"# {changes.apply_command(case.finding.id)}"
        yield "---\n".join(map(dump, manifests)).rstrip("\n")
    yield from (f"# then: {line}" for line in _afterwards(case))


def _diff(case: Case) -> Iterator[str]:
    for change in case.changes:
        yield from map(visible, changes.diff(change).rstrip("\n").split("\n"))
    if case.finding.fix:
        yield from (f"# then: {visible(line)}" for line in case.finding.fix.commands)


def _kubectl(case: Case) -> Iterator[str]:
    fix = case.finding.fix
    if fix is None:
        return
    for change in fix.changes:
        if change.before is None and change.after is not None:
            yield f"{changes.apply_command(case.finding.id)} <<'END_OF_FIX'"
            yield f"{dump(change.after)}END_OF_FIX"
        elif change.after is not None and not changes.is_patched(change, fix):
            yield visible(changes.kubectl(change))
    yield from _afterwards(case)


def _patches(case: Case) -> Iterator[dict[str, Any]]:
    for change in case.changes:
        whole = {"create": change.after} if change.before is None else {"delete": True}
        patch = changes.json_patch(change)
        what = {"patch": patch} if change.before and change.after else whole
        yield {"id": case.finding.id, "object": document.reference(change.ref), **what}


def _document(case: Case) -> dict[str, Any]:
    return {
        **document.finding(case.finding),
        "owners": [_about(ref, "owner", text) for ref, text in case.owners.items()],
        "server": None
        if case.server is None
        else [
            *(_about(ref, "refusal", text) for ref, text in case.server.items()),
            *(_about(ref, "unanswered", text) for ref, text in case.unanswered.items()),
        ],
    }


def _about(ref: Ref, key: str, text: str) -> dict[str, Any]:
    return {"object": document.reference(ref), key: text}
