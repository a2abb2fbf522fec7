"""A check that would never end: it is stopped, told, and the others still run."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import casefile
import pytest

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.alarm import Alarm, TimeUp
from gwdoctor.engine import SHARE, scan

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
"""
HOSTILE = "a" * 64 + "!"


class _OfServices(Probe):
    severity = Severity.HIGH
    subjects = (kinds.SERVICE,)

    @classmethod
    def id(cls) -> str:
        return f"test/{cls.__name__.lower()}"


class Endless(_OfServices):
    """It never comes to an end."""

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        if service.name == "a":
            yield self.finding(service, "found before")
        elif re.fullmatch("(a|aa)+", HOSTILE) is None:
            yield self.finding(service, "never told")


class EndlessJoin(_OfServices):
    """A join that it shares with others never comes to an end."""

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        yield from cluster.derive(_endless)


def _endless(cluster: Cluster) -> tuple[Finding, ...]:
    while True:
        try:
            re.fullmatch("(a|aa)+", HOSTILE)
        except Exception:  # what a careless check might do
            continue


class Quick(_OfServices):
    """It says something of every Service."""

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        yield self.finding(service, "here")


def test_a_check_gets_its_share_of_the_time_and_the_next_one_runs() -> None:
    cluster = casefile.cluster_of(casefile.documents(MANIFESTS))
    end = time.monotonic() + 2.0

    report = scan(cluster, [Endless, EndlessJoin, Quick], left=lambda: end - time.monotonic())

    told = [(finding.check, finding.message) for finding in report.findings]
    assert told == [
        (Endless.id(), "found before"),
        (Quick.id(), "here"),
        (Quick.id(), "here"),
    ]
    assert [skip.check for skip in report.skips] == [Endless.id(), EndlessJoin.id()]
    assert all("--timeout" in skip.reason for skip in report.skips)
    assert f"{2.0 * SHARE:.1f} s" in report.skips[0].reason
    assert report.incomplete


def test_no_alarm_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)

    with Alarm() as alarm:
        alarm.set(60)
        time.sleep(0.3)  # it looks, and lets go on
        alarm.set(0.001)
        with pytest.raises(TimeUp):
            time.sleep(5)

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_without_time_nothing_is_run_and_all_is_told() -> None:
    cluster = casefile.cluster_of(casefile.documents(MANIFESTS))

    report = scan(cluster, [Quick], left=lambda: 0.0)

    assert not report.findings
    assert [skip.reason for skip in report.skips] == ["the deadline of the run had passed"]
    assert report.incomplete
