"""`gwdoctor scan`: read, run the checks, report."""

from __future__ import annotations

import time as clock
from collections.abc import Collection
from dataclasses import dataclass, replace

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import delivering, inputs, narrow, outcome, values
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.observing import Wishes, observed
from gwdoctor.cli.options import Choice, Connection, Delivery, Input, Output, Running, Time
from gwdoctor.cli.phases import Phases
from gwdoctor.cli.talk import Talk
from gwdoctor.cli.writing import Writer
from gwdoctor.drawing import Drawing, drawn
from gwdoctor.engine import scan
from gwdoctor.model import Confidence, Report, Severity, Skip
from gwdoctor.probe import Probe
from gwdoctor.remedy import OBJECTS, SECONDS, Budget, Prover, proven
from gwdoctor.source.manifests import Note
from gwdoctor.source.origins import Origins


@dataclass(frozen=True)
class Wanted:
    """What of all findings is told."""

    severity: Severity
    confidence: Confidence
    selected: narrow.Labels | None

    @classmethod
    def of(cls, choice: Choice, given: Input) -> Wanted:
        """What these options ask for. Raises Mistake."""
        return cls(
            values.severity(choice.min_severity, "--min-severity"),
            values.confidence(choice.min_confidence, "--min-confidence"),
            None if given.selector is None else values.label_selector(given.selector),
        )


def run(
    given: Input,
    choice: Choice,
    running: Running,
    output: Output,
    delivery: Delivery,
    time: Time,
    connection: Connection,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    started = clock.perf_counter()
    talk = Talk(output.verbosity)
    probes = chosen(catalogue(), choice.select, choice.ignore)
    talk.phases.lap("load the checks")
    wanted = Wanted.of(choice, given)
    fail_on = values.fail_on(output.fail_on)
    writer = Writer.of(output)
    courier = delivering.Courier.of(delivery, given)
    wishes = Wishes.of(running, given)
    drawing = (Drawing,) if writer.draws else ()
    read = tuple(dict.fromkeys((*probes, *drawing, *wishes.observers())))
    timings: dict[str, float] = {}
    with inputs.opened(
        given, read, connection=connection, time=time, talk=talk, also=wishes.reads
    ) as seen:
        talk.phases.lap("index")
        report = judged(seen, probes, wanted, timings, talk.phases, wishes)
    report = with_entry(report, seen, writer)
    if report.entry is not None:
        talk.phases.lap("draw the map")
    if seen.is_live:  # offline the same input gives the same bytes
        report = replace(report, seconds=round(clock.perf_counter() - started, 3))
    talk.notes(seen.notes)
    undelivered = courier.deliver(report, seen, probes, asked=(choice, given.selector), talk=talk)
    talk.phases.lap("deliver the report")
    end = outcome.of(report, fail_on, undelivered)
    writer.write(report, end, talk)
    if output.timings:
        talk.phases.lap("write the report")
        for line in talk.phases.lines(timings):
            talk.warn(line)
    return end.code


def with_entry(report: Report, seen: Seen, writer: Writer) -> Report:
    """The report with the map of requests, where a format shows it."""
    if not writer.draws:
        return report
    return drawn(report, seen.picture.cluster, namespaces=seen.namespaces)


def judged(
    seen: Seen,
    probes: Collection[type[Probe]],
    wanted: Wanted | None = None,
    timings: dict[str, float] | None = None,
    phases: Phases | None = None,
    wishes: Wishes | None = None,
) -> Report:
    """What the checks say of it, narrowed to what was asked for, and with proofs of the fixes."""
    report, prover = judge(seen, probes, wanted, timings, wishes)
    if phases is not None:
        phases.lap("check")
    budget = Budget(
        objects=None if seen.is_live else OBJECTS,
        seconds=SECONDS if seen.is_live else None,
        expected=prover.seconds / 2,
        left=lambda: seen.deadline.left,
    )
    report = proven(report, prover, budget)
    if phases is not None:
        phases.lap("try the fixes")
    return report


def judge(
    seen: Seen,
    probes: Collection[type[Probe]],
    wanted: Wanted | None = None,
    timings: dict[str, float] | None = None,
    wishes: Wishes | None = None,
) -> tuple[Report, Prover]:
    """The same without the proofs, and what makes them."""
    cluster = seen.picture.cluster
    started = clock.perf_counter()
    everything = scan(
        cluster,
        probes,
        target=seen.target,
        left=lambda: seen.deadline.left,
        timings=timings,
    )
    prover = Prover(cluster, probes, everything, clock.perf_counter() - started)
    if wishes is not None:
        everything = observed(everything, seen, wishes, probes)
    origins = Origins(seen.picture.batch.origins)
    report = replace(
        everything,
        findings=tuple(replace(f, origin=origins.of(f.field)) for f in everything.findings),
        skips=(*everything.skips, *map(_unused, seen.notes)),
        incomplete=everything.incomplete or seen.picture.incomplete,
        time=seen.time,
    )
    if seen.namespaces is not None:
        report = narrow.within_namespaces(report, seen.namespaces)
    if wanted is not None:
        if wanted.selected is not None:
            report = narrow.with_labels(report, cluster, wanted.selected)
        report = narrow.at_least(report, wanted.severity, wanted.confidence)
    return report, prover


def _unused(note: Note) -> Skip:
    """A document that could not be used, as part of the report."""
    return Skip(check="", reason=str(note), problem=note.problem)
