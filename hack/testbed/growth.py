"""How the cost of looking at a cluster of an awkward form grows with its size.

In memory: what reading costs is measured by `hack/bench`. Each shape is made twice, the second time
of double size; what compares everything with everything takes four times as long for it.
"""

from __future__ import annotations

import gc
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from gwdoctor import engine
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import outcome
from gwdoctor.cluster import Cluster
from gwdoctor.drawing import drawn
from gwdoctor.engine import scan
from gwdoctor.model import Report, Severity
from gwdoctor.remedy import Prover
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.resolve import follow
from gwdoctor.source import decode
from gwdoctor.walk import request, standing, walks
from testbed.shapes import SHAPES, Shape

#: A part that takes less is too short to be measured.
NOTICED = 0.05
_UNKNOWN = "nobody.example.net"


@dataclass(frozen=True)
class Part:
    """What one part of the work took, of half a shape and of all of it; processor time."""

    half: float
    whole: float

    @property
    def ratio(self) -> float:
        """How many times as long as the half: 2 is linear, 4 quadratic."""
        return self.whole / max(self.half, 0.001)


@dataclass(frozen=True)
class Growth:
    """What everything took that is done with a shape."""

    shape: str
    size: int
    findings: int
    parts: dict[str, Part]
    checks: dict[str, Part]  #: those of the part "checks", by name

    @property
    def all(self) -> Part:
        """All parts together."""
        parts = self.parts.values()
        return Part(sum(part.half for part in parts), sum(part.whole for part in parts))

    @property
    def slowest(self) -> str:
        """The check that took longest."""
        return max(self.checks, key=lambda name: self.checks[name].whole)

    @property
    def steepest(self) -> str:
        """The part or check that grows most, of those that take a time worth the name."""
        every = {**self.parts, **self.checks}
        noticed = {name: part for name, part in every.items() if part.whole >= NOTICED}
        return max(noticed, key=lambda name: noticed[name].ratio, default="")

    def part(self, name: str) -> Part:
        """A part or a check, by its name."""
        return self.parts.get(name) or self.checks[name]


def growth(name: str, size: int | None = None) -> Growth:
    """Do all that is done with a cluster, to a shape of half its size and to the whole."""
    make, usual = SHAPES[name]
    size = size or usual
    _taken(make, 4)  # what is imported and compiled once shall be there
    _, half, half_checks = _taken(make, size // 2)
    findings, whole, checks = _taken(make, size)
    return Growth(
        name,
        size,
        findings,
        {part: Part(half[part], whole[part]) for part in whole},
        {check: Part(half_checks.get(check, 0.0), checks[check]) for check in checks},
    )


def _taken(make: Shape, size: int) -> tuple[int, dict[str, float], dict[str, float]]:
    """The number of findings, and the seconds of each part and of each check."""
    resources = [r for manifest in make(size) for r in decode.resources(manifest)]
    probes = list(catalogue().values())
    parts: dict[str, float] = {}
    checks: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        parts[name] = time.process_time() - started

    gc.collect()
    gc.freeze()
    try:
        with part("index"):
            cluster = Cluster(resources)
            for _ in follow.wants(cluster):
                pass
        with part("checks"), _timed_by_the_processor():
            report = scan(cluster, probes, timings=checks)
        with part("one proof"):
            _prove(report, Prover(cluster, probes, report))
        with part("map"):
            report = drawn(report, cluster)
        style = Style(end=outcome.of(report, Severity.HIGH), width=120)
        for name, form in FORMATS.items():
            with part(f"-o {name}"):
                form.render(report, style)
        with part("why"):
            for host in (_host(report), _UNKNOWN):
                way = walks.walk(request.asked(f"https://{host}/"), cluster)
                standing.attach(way, report.findings)
    finally:
        gc.unfreeze()
    return len(report.findings), parts, checks


def _prove(report: Report, prover: Prover) -> None:
    for finding in report.findings:
        if finding.fix is not None and finding.fix.changes:
            prover.prove(finding)
            return


def _host(report: Report) -> str:
    """A host name of the map that a client could ask for."""
    named = (host.name for host in report.entry.map.hosts) if report.entry else iter(())
    return next((name.replace("*", "any") for name in named if "." in name), _UNKNOWN)


@contextmanager
def _timed_by_the_processor() -> Iterator[None]:
    """The engine's stopwatch counts what else the machine does; nothing here waits for anything."""
    clock = types.SimpleNamespace(perf_counter=time.process_time)
    with mock.patch.object(engine, "time", clock):
        yield
