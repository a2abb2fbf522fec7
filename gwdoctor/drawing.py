"""What a report carries to be drawn: the map of requests and the certificates by expiry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gwdoctor.cluster import Cluster
from gwdoctor.entry import Entry
from gwdoctor.model import Report
from gwdoctor.probe import Probe
from gwdoctor.resolve import certificate_ends, request_findings


class Drawing(Probe):
    """No check: it only says what has to be read, so that the map does not depend on the checks."""

    subjects = ()
    needs = (*request_findings.KINDS, *certificate_ends.KINDS)


def drawn(report: Report, cluster: Cluster, *, namespaces: Iterable[str] | None = None) -> Report:
    """The report with its entry; `namespaces`: only what comes through one of these."""
    only = None if namespaces is None else frozenset(namespaces)
    entry = Entry(
        request_findings.of(cluster, report.findings, only),
        [
            end
            for end in certificate_ends.of(cluster)
            if only is None
            or end.secret.namespace in only
            or any(user.namespace in only for user in end.usedBy)
        ],
    )
    return replace(report, entry=entry)
