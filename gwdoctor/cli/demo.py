"""`gwdoctor demo`: a recorded cluster, scanned."""

from __future__ import annotations

from importlib import resources

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, outcome, program, values
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Output
from gwdoctor.cli.scan import judged, with_entry
from gwdoctor.cli.talk import Talk
from gwdoctor.cli.writing import Writer
from gwdoctor.source.deadline import Deadline
from gwdoctor.source.snapshot import Snapshot

RECORDED = "data/demo.json.gz"


def recorded() -> Snapshot:
    """The cluster that comes with gwdoctor."""
    file = resources.files("gwdoctor").joinpath(RECORDED)
    if not file.is_file():
        raise Mistake("this gwdoctor was built without its demo (gwdoctor/data/demo.json.gz)")
    return Snapshot(file.read_bytes())


def run(output: Output) -> int:
    """The command; returns the exit code of the scan. Its clock stands where it was recorded."""
    talk = Talk(output.verbosity)
    fail_on = values.fail_on(output.fail_on)
    writer = Writer.of(output)
    snapshot = recorded()
    probes = list(catalogue().values())
    seen = inputs.from_source(snapshot, probes, None, None, Deadline(), snapshot.target)
    report = with_entry(judged(seen, probes), seen, writer)
    talk.warn(f"this is a demo: a cluster recorded on {snapshot.taken.date()}, not yours")
    end = outcome.of(report, fail_on)
    writer.write(report, end, talk)
    if report.findings:
        talk.warn(f"read more: {program.name()} explain {report.findings[0].id}")
    talk.warn(f"scan your own: {program.name()} scan -A, or {program.name()} scan -f FILE")
    return end.code
