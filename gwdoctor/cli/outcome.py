"""How a run ends. The exit code is the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from gwdoctor.model import Report, Severity
from gwdoctor.render.words import Ending, count


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0  #: nothing at or above --fail-on
    FINDINGS = 1  #: findings at or above --fail-on
    MISTAKE = 2  #: flags, input, or an internal error
    INCOMPLETE = 3  #: not all was done: the deadline, broken documents, a report not delivered
    NO_CLUSTER = 4  #: cannot connect, log in, or find the context
    INTERRUPTED = 130
    PIPE_CLOSED = 141


def of(report: Report, fail_on: Severity | None, undelivered: Sequence[str] = ()) -> Ending:
    """The end of a scan, told by its report and what did not arrive; the first of these that holds."""
    missing = [skip.reason for skip in report.skips if skip.problem == "missing"]
    if missing:
        return Ending(Exit.MISTAKE, missing[0])
    if fail_on is not None:
        bad = [finding for finding in report.findings if finding.severity >= fail_on]
        if bad:
            return Ending(Exit.FINDINGS, f"{count(len(bad), 'finding')} at or above {fail_on}")
    broken_checks = {skip.check for skip in report.skips if skip.is_bug}
    if broken_checks:
        return Ending(
            Exit.MISTAKE,
            f"gwdoctor failed in {count(len(broken_checks), 'check')}: a bug of its own",
        )
    if report.incomplete:
        return Ending(Exit.INCOMPLETE, "incomplete: the deadline (--timeout) came first")
    broken = [skip for skip in report.skips if skip.problem == "broken"]
    if broken:
        return Ending(
            Exit.INCOMPLETE, f"incomplete: {count(len(broken), 'document')} could not be read"
        )
    if undelivered:
        return Ending(Exit.INCOMPLETE, f"not delivered: {'; '.join(undelivered)}")
    if fail_on is None:
        return Ending(Exit.OK, "--fail-on is never")
    return Ending(Exit.OK, f"nothing at or above {fail_on}")
