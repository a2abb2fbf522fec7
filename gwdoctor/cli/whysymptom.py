"""`gwdoctor why --symptom`: the checks whose symptom a text is, and what they find."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Any

from gwdoctor import symptoms
from gwdoctor.cli import inputs, outcome, program, stdout
from gwdoctor.cli.options import Connection, Input, Time
from gwdoctor.cli.outcome import Exit
from gwdoctor.cli.scan import Wanted
from gwdoctor.cli.talk import Talk
from gwdoctor.cli.why import everywhere, judged
from gwdoctor.model import Report, Severity, Target
from gwdoctor.probe import Probe
from gwdoctor.render import document, machine, plain, terminal, walk_document
from gwdoctor.render.words import Ending
from gwdoctor.source.batch import NoCluster
from gwdoctor.symptoms import Found, Symptom


def run(
    text: str,
    probes: Collection[type[Probe]],
    wanted: Wanted,
    given: Input,
    time: Time,
    connection: Connection,
    *,
    form: str,
    color: bool,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    known = {probe.id(): probe for probe in probes}
    found = symptoms.find(text, known)
    talk = Talk()
    report: Report | None = None
    end = Ending(Exit.INCOMPLETE, "no check knows this symptom")
    if found.symptoms:
        named = [known[one.check] for one in found.symptoms]
        try:
            seen = inputs.read(
                everywhere(given), named, connection=connection, time=time, talk=talk
            )
        except NoCluster as error:
            if _is_told(connection):
                raise
            talk.warn(f"the checks were not run: {error}")
            end = Ending(Exit.OK, "listed, not run")
        else:
            report = judged(seen, named, wanted)
            talk.notes(seen.notes)
            end = outcome.of(report, Severity.HIGH)
    if form == "json":
        stdout.write(machine.as_json(_document(text, found, report)))
    else:
        stdout.write(_listed(found, known))
        if report is not None:
            stdout.write("\n" + _report(report, end, color=color))
    return end.code


def _is_told(connection: Connection) -> bool:
    """Whether the user said which cluster: then it is an error that it cannot be reached."""
    return any((connection.kubeconfig, connection.context, connection.server, connection.cluster))


def _listed(found: Found, known: dict[str, type[Probe]]) -> str:
    listed = found.symptoms or found.nearest
    if found.symptoms:
        lines = ["Checks whose symptom it is, best first:"]
    elif listed:
        lines = ["No check knows this symptom. These come nearest:"]
    else:
        lines = [f"No check knows this symptom; `{program.name()} checks` lists them all."]
    longest = max((len(one.check) for one in listed), default=0)
    for text, group in groupby(listed, key=lambda one: one.text):
        lines.append(f"{text}:")
        lines += [f"  {one.check:{longest}}  {known[one.check].title()}" for one in group]
    if listed:
        lines.append(f"`{program.name()} explain {listed[0].check}` shows the page of the first.")
    return "\n".join(lines) + "\n"


def _report(report: Report, end: Ending, *, color: bool) -> str:
    if stdout.is_terminal():
        return terminal.render(report, end, width=stdout.width(), color=color)
    return plain.render(report, end, color=color)


def _document(text: str, found: Found, report: Report | None) -> dict[str, Any]:
    target = report.target if report is not None else Target(namespaces=())
    return {
        **walk_document.head(target),
        "symptom": text[: symptoms.MOST_TEXT],
        "checks": [_symptom(one) for one in found.symptoms],
        "nearest": [_symptom(one) for one in found.nearest],
        "ran": report is not None,
        "findings": [document.finding(f) for f in report.findings] if report else [],
        "not_checked": [document.skip(skip) for skip in report.skips] if report else [],
    }


def _symptom(one: Symptom) -> dict[str, Any]:
    return {"check": one.check, "symptom": one.text, "weight": round(one.weight, 2)}
