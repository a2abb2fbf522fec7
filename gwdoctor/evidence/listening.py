"""Asks the cluster for the logs that matter, and keeps of them what means something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gwdoctor.cluster import Cluster
from gwdoctor.evidence import pod_logs
from gwdoctor.evidence.writers import Writer, writers
from gwdoctor.kinds import LogLineView
from gwdoctor.model import Finding, Resource, Skip
from gwdoctor.source import podlogs, rights
from gwdoctor.source.connection import CutOff
from gwdoctor.source.questions import Questions

#: The check that judges what was heard, and is told where something could not be.
CHECK = "service/failure-logged"


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed, as objects for a picture, and what could not be."""

    resources: Sequence[Resource] = ()
    skips: Sequence[Skip] = ()
    incomplete: bool = False  #: the deadline came first


def listen(
    cluster: Cluster, findings: Iterable[Finding], questions: Questions, limits: podlogs.Limits
) -> Observed:
    """The logs of the entry, and of what these findings name."""
    wanted = {
        podlogs.Container(one.namespace, one.pod, one.container): one
        for one in writers(cluster, findings)
    }
    kept: dict[Writer, list[LogLineView]] = {}
    skips: list[Skip] = []
    open_ = dict(wanted)
    for container, outcome in questions.logs(tuple(wanted), limits):
        writer = open_.pop(container)
        if isinstance(outcome, bytearray):
            kept[writer] = pod_logs.lines(outcome, writer.log)
        elif isinstance(outcome, CutOff):
            kept[writer] = pod_logs.lines(outcome.begun, writer.log)
            skips.append(_skip(writer, f"the log of a Pod was not read to its end: {outcome}"))
        elif (
            outcome.status != 404 or not outcome.is_genuine
        ):  # a Pod that has gone has nothing to say any more
            skips.append(
                _skip(writer, f"the log of a Pod cannot be read: {outcome}", outcome.status)
            )
    skips += [
        _skip(writer, "the log of a Pod was not read before the deadline (--timeout)")
        for writer in open_.values()
    ]
    return Observed(pod_logs.resources(kept), skips, incomplete=bool(open_))


def _skip(writer: Writer, reason: str, status: int = 0) -> Skip:
    rule = rights.LOGS.rule if status == 403 else None
    return Skip(check=CHECK, reason=reason, ref=writer.ref, rbac=rule)
