"""What files do not claim to hold: no alarm, no noise, and no silence where it matters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import casefile
import pytest

from gwdoctor import Cluster, Finding, Kind, Probe, Resource, Severity, kinds
from gwdoctor.engine import scan
from gwdoctor.gather import cluster_of
from gwdoctor.model import Gap
from gwdoctor.source.batch import Batch

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: x}\n"
INGRESS = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, namespace: x}\n"
READ = frozenset({kinds.SERVICE, kinds.INGRESS, kinds.SECRET, kinds.GATEWAY_CLASS})


class LooksAtEach(Probe):
    """Looks at each Service and Ingress, and asks for a Secret."""

    severity = Severity.HIGH
    subjects: ClassVar[tuple[Kind, ...]] = (kinds.SERVICE, kinds.INGRESS)
    needs = (kinds.SECRET,)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        if cluster.get(kinds.SECRET, subject.namespace, "tls") is None:
            yield self.finding(subject, "has no Secret")


class ComparesAll(LooksAtEach):
    """Compares Services; asks for all of them."""

    subjects = (kinds.SERVICE,)

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        for service in cluster[kinds.SERVICE]:
            yield from self.check(service, cluster)


class ComparesTwoKinds(LooksAtEach):
    """Compares Ingresses and Services; of Ingresses, files that hold none say that there is none."""

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        for subject in (*cluster[kinds.SERVICE], *cluster[kinds.INGRESS]):
            yield from self.check(subject, cluster)


def cluster(*texts: str, claimed: bool = False) -> Cluster:
    found = [r for text in texts for r in casefile.resources_of(casefile.documents(text))]
    lacking = READ - {resource.ref.kind for resource in found}
    gaps = tuple(Gap(kind=kind, reason="none here", claimed=claimed) for kind in sorted(lacking))
    return cluster_of(Batch(resources=tuple(found), gaps=gaps), READ)


@pytest.mark.parametrize("probe", [LooksAtEach, ComparesAll])
def test_a_check_without_anything_to_look_at_does_not_apply(probe: type[Probe]) -> None:
    report = scan(cluster(), [probe])

    assert (report.not_applicable, report.checks, report.skips) == (1, 0, ())


@pytest.mark.parametrize("probe", [LooksAtEach, ComparesAll])
def test_one_that_may_not_be_read_is_told(probe: type[Probe]) -> None:
    report = scan(cluster(claimed=True), [probe])

    assert (report.not_applicable, report.checks) == (0, 1)
    assert report.skips


def test_without_any_subject_a_kind_that_is_not_claimed_is_no_gap() -> None:
    assert kinds.READINGS[kinds.INGRESS].policy
    nothing = cluster_of(
        Batch(gaps=(Gap(kind=kinds.SERVICE, reason="none here", claimed=False),)), READ
    )

    report = scan(nothing, [ComparesTwoKinds])

    assert (report.checks, report.skips) == (1, ())


def test_with_one_subject_the_other_that_is_not_claimed_is_told() -> None:
    (skip,) = scan(cluster(INGRESS), [ComparesTwoKinds]).skips

    assert skip.reason == "Service: none here"


def test_of_two_subjects_the_one_that_is_there_is_looked_at_and_the_other_is_no_gap() -> None:
    report = scan(cluster(INGRESS), [LooksAtEach])

    (skip,) = report.skips
    assert skip.ref is not None
    assert skip.ref.kind == kinds.INGRESS
    assert skip.reason == "Secret: none here"


@pytest.mark.parametrize("probe", [LooksAtEach, ComparesAll])
def test_what_a_subject_refers_to_and_is_not_there_is_told_and_is_no_finding(
    probe: type[Probe],
) -> None:
    report = scan(cluster(SERVICE), [probe])

    assert not report.findings
    assert [skip.reason for skip in report.skips] == ["Secret: none here"]
