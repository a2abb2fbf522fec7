"""`gwdoctor fix`: the way out of single findings, tried before it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gwdoctor import changes
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import fixfiles, inputs, program, stdout, values
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.cli.options import Choice, Connection, Input, Repair, Time
from gwdoctor.cli.outcome import Exit
from gwdoctor.cli.scan import Wanted, judge
from gwdoctor.cli.talk import Talk
from gwdoctor.model import Change, Finding, Ref, Report
from gwdoctor.owners import owner
from gwdoctor.remedy import Budget, proven
from gwdoctor.render import fixes, words
from gwdoctor.render.fixes import Case
from gwdoctor.source.connection import Trouble

if TYPE_CHECKING:
    from gwdoctor.source.questions import Questions


@dataclass(frozen=True)
class _Asked:
    """Which findings are meant."""

    names: tuple[str, ...]
    all: bool
    include_review: bool


def run(
    names: Iterable[str],
    repair: Repair,
    given: Input,
    choice: Choice,
    time: Time,
    connection: Connection,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    asked = _Asked(tuple(names), repair.all, repair.include_review)
    form = _form(repair)
    if repair.files is not None:
        given = _with_files(repair, given)
        asked = replace(asked, all=asked.all or not asked.names)
    if not asked.names and not asked.all:
        raise Mistake("name a finding or a check, or give --all")
    if asked.names and repair.all:
        raise Mistake("--all and the names of findings exclude each other")
    dry_run = _dry_run(repair, given)
    talk = Talk()
    probes = chosen(catalogue(), choice.select, choice.ignore)
    wanted = Wanted.of(choice, given)
    with inputs.opened(given, probes, connection=connection, time=time, talk=talk) as seen:
        seen.must_hold_something()
        report, prover = judge(seen, probes, wanted)
        talk.notes(seen.notes)
        picked = replace(report, findings=tuple(_picked(report, asked, talk)))
        budget = Budget(left=lambda: seen.deadline.left)
        picked = proven(picked, prover, budget)
        if repair.files is not None:
            return fixfiles.run(picked.findings, seen, repair, talk)
        cases = [_case(finding, seen, dry_run) for finding in picked.findings]
    if cases:
        stdout.write(fixes.render(cases, form, diff=repair.diff))
    elif form in ("json", "patch"):
        stdout.write("[]\n")
    else:
        talk.warn("there is nothing to fix")
    if any(case.refused for case in cases):
        return Exit.FINDINGS
    if report.incomplete or any(case.unanswered for case in cases):
        return Exit.INCOMPLETE
    return Exit.OK


def _form(repair: Repair) -> str:
    if repair.output is None:
        return "yaml"
    form = values.one_of(repair.output, fixes.FORMATS, "-o")
    if repair.diff:
        raise Mistake("--diff and -o exclude each other")
    if repair.files is not None:
        raise Mistake("--files and -o exclude each other")
    return form


def _dry_run(repair: Repair, given: Input) -> bool:
    if values.one_of(repair.dry_run, ["server", "none"], "--dry-run") == "none":
        return False
    if given.filename or given.snapshot:
        raise Mistake("--dry-run=server asks a cluster: leave out -f, --files and --snapshot")
    return True


def _with_files(repair: Repair, given: Input) -> Input:
    if given.snapshot:
        raise Mistake("--files edits what was read from files, not from a --snapshot")
    if given.filename and "-" in given.filename:
        raise Mistake("--files cannot edit standard input")
    return replace(given, filename=given.filename or [str(repair.files)])


# --- which findings ---------------------------------------------------------------------------


def _picked(report: Report, asked: _Asked, talk: Talk) -> Iterator[Finding]:
    if not asked.all:
        named = (f for name in asked.names for f in _named(report, name.strip()))
        yield from {finding.id: finding for finding in named}.values()
        return
    left_out = 0
    for finding in report.findings:
        if finding.fix is None:
            continue
        if finding.fix.needs_review and not asked.include_review:
            left_out += 1
        else:
            yield finding
    if left_out:
        talk.warn(
            f"{words.count(left_out, 'fix', 'fixes')} left out that a person has to look at: "
            "--include-review, or name them"
        )


def _named(report: Report, name: str) -> list[Finding]:
    """The finding of this id, those of this check, or the one whose id begins so."""
    exact = [f for f in report.findings if name in (f.id, f.check)]
    if exact:
        return exact
    begun = [f for f in report.findings if name and f.id.startswith(name)]
    if len(begun) == 1:
        return begun
    if begun:
        raise Mistake(f"{name!r} begins {len(begun)} findings: {', '.join(f.id for f in begun)}")
    if name in catalogue():
        raise Mistake(f"{name} finds nothing here")
    known = [*(f.id for f in report.findings), *(f.check for f in report.findings)]
    raise Mistake(
        f"there is no finding {name!r} here.{nearest(name, known)} "
        f"`{program.name()} scan` lists them."
    )


# --- what is found out about a fix ------------------------------------------------------------


def _case(finding: Finding, seen: Seen, dry_run: bool) -> Case:
    all_changes = finding.fix.changes if finding.fix else ()
    if not dry_run or seen.questions is None:
        return Case(finding, dict(_owners(finding, seen)))
    answers: dict[Ref, str] = {}
    unanswered: dict[Ref, str] = {}
    for change in all_changes:
        try:
            answers[change.ref] = _answer(finding, change, seen.questions)
        except Trouble as trouble:
            unanswered[change.ref] = str(trouble)
    return Case(finding, dict(_owners(finding, seen)), answers, unanswered)


def _owners(finding: Finding, seen: Seen) -> Iterator[tuple[Ref, str]]:
    """Who keeps what is changed; of a new object, who keeps the one that the finding is about."""
    if finding.fix is None:
        return
    refs = dict.fromkeys(
        change.ref if change.before is not None else finding.field.ref
        for change in finding.fix.changes
    )
    for ref in refs:
        resource = seen.picture.cluster.find(ref)
        if resource is None:
            continue
        managers, problem = _managers(ref, seen.questions)
        if told := owner(resource, managers) or problem:
            yield ref, told


def _managers(ref: Ref, questions: Questions | None) -> tuple[tuple[str, ...], str]:
    """The field managers of an object, and why they are not known."""
    if questions is None:
        return (), ""
    try:
        return questions.managers(ref), ""
    except Trouble as trouble:
        return (), f"not known: {trouble}"


def _answer(finding: Finding, change: Change, questions: Questions) -> str:
    if change.after is None:
        return questions.would_delete(change.ref)
    if finding.fix is not None and changes.is_patched(change, finding.fix):
        return questions.would_patch(change.ref, changes.json_patch(change))
    manifest = changes.manifest(change)
    if manifest is None:
        return ""  # only takes fields away: a command does it
    return questions.would_apply(change.ref, manifest, changes.field_manager(finding.id))
