"""`gwdoctor why`: the walk of one request, or the checks of a symptom."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

from gwdoctor import kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, program, stdout, values
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.observing import Wishes, observe
from gwdoctor.cli.options import Asked, Choice, Connection, Input, Running, Time
from gwdoctor.cli.outcome import Exit
from gwdoctor.cli.scan import Wanted, judge
from gwdoctor.cli.talk import Talk
from gwdoctor.entry import State
from gwdoctor.model import Kind, Report
from gwdoctor.probe import Probe
from gwdoctor.render import machine
from gwdoctor.render.words import Ending, count
from gwdoctor.walk import request as requests
from gwdoctor.walk import served, standing, walks
from gwdoctor.walk.hops import Walk
from gwdoctor.walk.request import Request


class _Walked(Probe):
    """What a walk reads, whatever checks are chosen."""

    subjects: ClassVar[tuple[Kind, ...]] = ()
    needs: ClassVar[tuple[Kind, ...]] = walks.KINDS


def run(
    url: str | None,
    asked: Asked,
    given: Input,
    choice: Choice,
    running: Running,
    time: Time,
    connection: Connection,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    form = values.one_of(asked.output or "text", ["text", "json"], "-o")
    color = stdout.wants_color(values.one_of(asked.color, ["auto", "always", "never"], "--color"))
    probes = chosen(catalogue(), choice.select, choice.ignore)
    wanted = wanted_of(choice)
    if asked.symptom is not None:
        if url is not None or asked.method or asked.header or asked.sni or asked.port:
            raise Mistake("--symptom stands instead of a URL and its options")
        from gwdoctor.cli import whysymptom

        return whysymptom.run(
            _told(asked.symptom), probes, wanted, given, time, connection, form=form, color=color
        )
    if given.selector is not None:
        raise Mistake("-l: a request asks for no labels")
    if url is None:
        raise Mistake("name a URL or host, as https://shop.example.com/cart, or --symptom TEXT")
    request = _request(url, asked)
    talk = Talk()
    wishes = replace(Wishes.of(running, given), host=request.sni)
    with inputs.opened(
        everywhere(given),
        [*probes, _Walked, *wishes.observers()],
        connection=connection,
        time=time,
        talk=talk,
        also=wishes.reads,
    ) as seen:
        report, observed = observe(judged(seen, probes, wanted), seen, wishes, probes)
    found = walks.walk(request, seen.picture.cluster)
    served.stand_beside(
        found, (one for one in observed if one.ref.kind == kinds.HANDSHAKE), seen.picture.cluster
    )
    standing.attach(found, report.findings)
    talk.notes(seen.notes)
    end = _ending(found, report)
    stdout.write(_text(found, report, end, form=form, color=color))
    return end.code


def everywhere(given: Input) -> Input:
    """A request asks for no namespace: all of them, unless -n names some."""
    return given if given.namespace else replace(given, all_namespaces=True)


def wanted_of(choice: Choice) -> Wanted:
    """What of all findings is told. Raises Mistake."""
    return Wanted(
        values.severity(choice.min_severity, "--min-severity"),
        values.confidence(choice.min_confidence, "--min-confidence"),
        None,
    )


def judged(seen: Seen, probes: Collection[type[Probe]], wanted: Wanted) -> Report:
    """What the checks say, of all that was read: a request passes through many namespaces."""
    report, _ = judge(replace(seen, namespaces=None), probes, wanted)
    return report


def _request(url: str, asked: Asked) -> Request:
    try:
        return requests.asked(
            url,
            method=asked.method,
            headers=asked.header or (),
            sni=asked.sni or "",
            port=asked.port,
        )
    except requests.BadRequest as error:
        raise Mistake(str(error)) from None


def _told(symptom: str) -> str:
    text = sys.stdin.read() if symptom == "-" and sys.stdin is not None else symptom
    if not text.strip():
        raise Mistake("--symptom: the text is empty; paste the error that was read")
    return text


def _text(found: Walk, report: Report, end: Ending, *, form: str, color: bool) -> str:
    if form == "json":
        from gwdoctor.render import walk_document

        return machine.as_json(walk_document.walk(found, report.target, report.skips))
    from gwdoctor.render import walk_text

    return walk_text.render(
        found,
        report.target,
        report.skips,
        end,
        width=stdout.width() if stdout.is_terminal() else None,
        color=color,
        program=program.name(),
    )


def _ending(found: Walk, report: Report) -> Ending:
    missing = [skip.reason for skip in report.skips if skip.problem == "missing"]
    if missing:
        return Ending(Exit.MISTAKE, missing[0])
    states = [hop.state for hop in found.all_hops()]
    broken = states.count(State.BROKEN)
    degraded = states.count(State.DEGRADED)
    if broken or degraded:
        told = [f"{broken} broken"] * bool(broken) + [
            f"{degraded} that some requests fail at, or will soon"
        ] * bool(degraded)
        return Ending(Exit.FINDINGS, f"of {count(len(states), 'hop')} {' and '.join(told)}")
    bugs = {skip.check for skip in report.skips if skip.is_bug}
    if bugs:
        return Ending(Exit.MISTAKE, f"gwdoctor failed in {count(len(bugs), 'check')}: a bug")
    if report.incomplete:
        return Ending(Exit.INCOMPLETE, "incomplete: the deadline (--timeout) came first")
    if found.state is State.UNSEEN and not found.is_answered:
        return Ending(Exit.INCOMPLETE, "nothing that was seen takes it, and not all was seen")
    if found.state is State.UNSEEN:
        return Ending(Exit.INCOMPLETE, "not everything on the way could be seen")
    if any(skip.problem == "broken" for skip in report.skips):
        return Ending(Exit.INCOMPLETE, "incomplete: a document could not be read")
    if not found.is_answered:
        return Ending(Exit.FINDINGS, "nothing takes this request")
    return Ending(Exit.OK, "nothing is broken on the way")
