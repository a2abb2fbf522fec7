"""`gwdoctor scan`: read, run the checks, report."""

from __future__ import annotations

import time as clock
from collections.abc import Collection
from dataclasses import dataclass, replace

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, narrow, outcome, values
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.observing import Wishes, observed
from gwdoctor.cli.options import Choice, Connection, Input, Output, Running, Time
from gwdoctor.cli.talk import Talk
from gwdoctor.cli.writing import Writer
from gwdoctor.engine import scan
from gwdoctor.model import Confidence, Report, Severity, Skip
from gwdoctor.probe import Probe
from gwdoctor.remedy import OBJECTS, SECONDS, Budget, Prover, proven


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
    time: Time,
    connection: Connection,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    started = clock.perf_counter()
    talk = Talk(output.verbosity)
    probes = chosen(catalogue(), choice.select, choice.ignore)
    wanted = Wanted.of(choice, given)
    fail_on = values.fail_on(output.fail_on)
    writer = Writer.of(output)
    wishes = Wishes.of(running, given)
    asked = list(dict.fromkeys((*probes, *wishes.observers())))
    timings: dict[str, float] | None = {} if output.timings else None
    with inputs.opened(
        given, asked, connection=connection, time=time, talk=talk, also=wishes.reads
    ) as seen:
        read_in = clock.perf_counter() - started
        report = judged(seen, probes, wanted, timings, wishes)
    if seen.is_live:  # offline the same input gives the same bytes
        report = replace(report, seconds=clock.perf_counter() - started)
    talk.notes(seen.notes)
    if timings is not None:
        _tell(timings, read_in, talk)
    end = outcome.of(report, seen.notes, fail_on)
    writer.write(report, end)
    return end.code


def judged(
    seen: Seen,
    probes: Collection[type[Probe]],
    wanted: Wanted | None = None,
    timings: dict[str, float] | None = None,
    wishes: Wishes | None = None,
) -> Report:
    """What the checks say of it, narrowed to what was asked for, and with proofs of the fixes."""
    report, prover = judge(seen, probes, wanted, timings, wishes)
    budget = Budget(
        objects=None if seen.is_live else OBJECTS,
        seconds=SECONDS if seen.is_live else None,
        expected=prover.seconds / 2,
        out_of_time=lambda: seen.deadline.passed,
    )
    return proven(report, prover, budget)


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
        out_of_time=lambda: seen.deadline.passed,
        timings=timings,
    )
    prover = Prover(cluster, probes, everything, clock.perf_counter() - started)
    if wishes is not None:
        everything = observed(everything, seen, wishes, probes)
    report = replace(
        everything,
        skips=(*everything.skips, *(Skip(check="", reason=str(note)) for note in seen.notes)),
        incomplete=everything.incomplete or seen.picture.incomplete,
    )
    if seen.namespaces is not None:
        report = narrow.within_namespaces(report, seen.namespaces)
    if wanted is not None:
        if wanted.selected is not None:
            report = narrow.with_labels(report, cluster, wanted.selected)
        report = narrow.at_least(report, wanted.severity, wanted.confidence)
    return report, prover


def _tell(timings: dict[str, float], read_in: float, talk: Talk) -> None:
    talk.warn(f"{read_in:8.3f} s  reading")
    for check, seconds in sorted(timings.items(), key=lambda item: -item[1]):
        talk.warn(f"{seconds:8.3f} s  {check}")
