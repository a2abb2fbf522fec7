"""Of a report what was asked for: namespaces, labels, thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Confidence, Finding, Ref, Report, Severity, Skip

Labels = Callable[[Mapping[str, str]], bool]


def within_namespaces(report: Report, namespaces: frozenset[str]) -> Report:
    """Only what touches these namespaces: the object of a finding, or one of its causes."""

    def touches(ref: Ref) -> bool:
        is_one = ref.kind == kinds.NAMESPACE and ref.name in namespaces
        return is_one or ref.namespace in namespaces

    def concerns(skip: Skip) -> bool:
        return skip.ref is None or not skip.ref.namespace or touches(skip.ref)

    return replace(
        report,
        findings=tuple(f for f in report.findings if any(map(touches, _objects(f)))),
        skips=tuple(filter(concerns, report.skips)),
    )


def with_labels(report: Report, cluster: Cluster, selected: Labels) -> Report:
    """Only findings of which the object, or one of its causes, carries the labels."""

    def carries(ref: Ref) -> bool:
        found = cluster.find(ref)
        return found is not None and selected(found.own_labels)

    return replace(
        report, findings=tuple(f for f in report.findings if any(map(carries, _objects(f))))
    )


def at_least(report: Report, severity: Severity, confidence: Confidence) -> Report:
    """Only findings that are this bad and this sure; the others are counted."""
    told = tuple(
        f for f in report.findings if f.severity >= severity and f.confidence >= confidence
    )
    below = len(report.findings) - len(told)
    return replace(report, findings=told, ignored=report.ignored + below)


def _objects(finding: Finding) -> list[Ref]:
    return [finding.field.ref, *(spot.ref for spot in finding.because)]
