"""Every fix of the catalogue, carried out on the real API server."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import casefile
import closure
import pytest
from closure import Bed
from testbed import ControlPlane, Refused

from gwdoctor import Probe
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan

each_check = pytest.mark.parametrize("probe", catalogue().values(), ids=catalogue().keys())


@pytest.fixture(scope="module")
def bed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with closure.bed(control_plane, tmp_path_factory.mktemp("kubectl")) as made:
        yield made


def texts(probe: type[Probe]) -> Iterator[tuple[str, str]]:
    """The example of the page and every bad case, with its name."""
    yield "page", probe.example("bad")
    folder = casefile.CASES / probe.id().replace("-", "_")
    for file in sorted(folder.glob("bad*.yaml")):
        yield file.name, file.read_text()


@each_check
def test_every_fix_holds(
    probe: type[Probe], bed: Bed, record_property: Callable[[str, object], None]
) -> None:
    broken = []
    for name, text in texts(probe):
        now, hidden = casefile.now_of(text), casefile.unseen(text)
        manifests = casefile.documents(text)
        offline = scan(casefile.cluster_of(manifests, now=now, hidden=hidden), [probe])
        wanted = Counter(finding.field.ref for finding in offline.findings if finding.fix)
        if not wanted:
            continue
        if hidden:
            record_property("hides kinds", name)
            continue
        try:
            bed.load(manifests)
        except Refused as refused:
            assert refused.status in (400, 422), refused
            record_property("refused", f"{name}: {refused}")
            continue
        before = bed.scan(now)
        fixable = [f for f in before.report.findings if f.check == probe.id() and f.fix]
        # by object: the server's defaults may name a list item otherwise than the case does
        for missed in wanted - Counter(finding.field.ref for finding in fixable):
            record_property("not found live", f"{name}: {missed}")
        for finding in fixable:
            if reason := closure.out_of_reach(finding):
                record_property("out of reach", f"{name}: {reason}")
                continue
            paste = name == "page" and bool(shutil.which("kubectl"))
            found = closure.faults(bed, before, finding, now, paste=paste)
            broken += [f"{name}: {finding.id}: {fault}" for fault in found]
            record_property("broken" if found else "held", f"{name}: {finding.id} {found}")
            bed.back()
    assert not broken, "\n".join(broken)
