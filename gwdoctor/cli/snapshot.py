"""`gwdoctor snapshot`: what a scan of all checks reads, saved."""

from __future__ import annotations

import os

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, outcome, program, stdout
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Connection, Input, Time
from gwdoctor.cli.talk import Talk
from gwdoctor.source import snapshot


def run(given: Input, time: Time, connection: Connection, output: str) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    talk = Talk()
    if os.path.isdir(output):
        raise Mistake(f"-o: {output} is a folder; name a file")
    probes = list(catalogue().values())
    seen = inputs.read(given, probes, connection=connection, time=time, talk=talk)
    seen.must_hold_something()
    asked = {kind for probe in probes for kind in probe.reads()}
    data = snapshot.save(seen.picture.batch, asked, seen.now, seen.target)
    talk.notes(seen.notes)
    if output == "-":
        stdout.write_bytes(data)
    else:
        try:
            snapshot.write(output, data)
        except OSError as error:
            raise Mistake(f"-o: {output}: {error.strerror}") from None
        talk.warn(
            f"{len(seen.picture.cluster)} objects in {output}; "
            f"`{program.name()} scan --snapshot {output}` scans them"
        )
    if seen.picture.incomplete:
        talk.warn("it is incomplete: the deadline (--timeout) came first")
        return outcome.Exit.INCOMPLETE
    return outcome.Exit.OK
