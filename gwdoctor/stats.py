"""How many findings come with a fix, counted over the examples of the checks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from gwdoctor.catalogue import catalogue
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.model import Finding
from gwdoctor.probe import Probe
from gwdoctor.remedy import Prover
from gwdoctor.source import decode
from gwdoctor.yamltext import reading

_TESTS = Path(__file__).parents[1] / "tests"
CASES = "the page examples and the cases of this checkout"
PAGES = "the page examples (those that need a certificate made for them are left out)"


@dataclass(slots=True)
class Count:
    """Findings by what they offer; of the fixes, those that hold when they are tried."""

    findings: int = 0
    safe: int = 0
    review: int = 0
    none: int = 0  #: they say what to decide
    verified: int = 0
    not_proven: int = 0  #: tried, and it does not clear, or opens another, or that cannot be seen
    by_commands: int = 0  #: no manifest can say them, so they are not tried

    def add(self, finding: Finding, prover: Prover) -> None:
        """One more finding."""
        self.findings += 1
        fix = finding.fix
        if fix is None:
            self.none += 1
            return
        if fix.needs_review:
            self.review += 1
        else:
            self.safe += 1
        if not fix.changes:
            self.by_commands += 1
        elif prover.prove(finding).holds:
            self.verified += 1
        else:
            self.not_proven += 1


def count(probes: Iterable[type[Probe]]) -> tuple[dict[str, Count], str]:
    """By check, and what was counted over. A fix is tried before all checks, not only its own."""
    everything = list(catalogue().values())
    in_checkout = (_TESTS / "casefile.py").is_file() and (_TESTS / "cases").is_dir()
    rows: dict[str, Count] = {}
    for probe in probes:
        row = rows[probe.id()] = Count()
        for cluster in _cases(probe) if in_checkout else _page(probe):
            report = scan(cluster, everything)
            prover = Prover(cluster, everything, report)
            for finding in report.findings:
                if finding.check == probe.id():
                    row.add(finding, prover)
    return rows, CASES if in_checkout else PAGES


def total(rows: Iterable[Count]) -> Count:
    """The sum."""
    return Count(*(sum(column) for column in zip(*map(astuple, rows), strict=True)))


def _page(probe: type[Probe]) -> Iterator[Cluster]:
    """The bad example of the page, where it can be read without making certificates."""
    found = list(reading.documents(probe.example("bad")))
    resources = []
    for document in found:
        if isinstance(document, reading.YamlError):
            return
        if document.value is not None:
            resources += list(decode.resources(document.value))
    yield Cluster(resources)


def _cases(probe: type[Probe]) -> Iterator[Cluster]:
    """The bad example and every case, read as the tests read them."""
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    casefile = importlib.import_module("casefile")
    folder = _TESTS / "cases" / probe.id().replace("-", "_")
    files = sorted(file for file in folder.glob("*.yaml") if not file.name.endswith(".fixed.yaml"))
    for text in (probe.example("bad"), *(file.read_text(encoding="utf-8") for file in files)):
        yield casefile.cluster_of(
            casefile.documents(text), now=casefile.now_of(text), hidden=casefile.unseen(text)
        )
