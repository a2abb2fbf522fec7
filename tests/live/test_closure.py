"""Every fix of the catalogue, carried out on the real API server exactly as it is printed.

`pytest -v tests/live/test_closure.py` says of every fix what became of it; without -v the last lines
count them.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import casefile
import closure
import pytest
from closure import Bed, Scanned
from testbed import ControlPlane, Refused

from gwdoctor import Finding, Fix, Probe
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan

each_check = pytest.mark.parametrize("probe", catalogue().values(), ids=catalogue().keys())

Record = Callable[[str, object], None]


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
def test_every_fix_holds(probe: type[Probe], bed: Bed, record_property: Record) -> None:
    tried = Counter[str]()
    broken: list[str] = []

    def note(outcome: str, what: str) -> None:
        tried[outcome] += 1
        record_property("closure", f"{outcome}: {probe.id()} {what}")

    for name, text in texts(probe):
        now, hidden = casefile.now_of(text), casefile.unseen(text)
        manifests = casefile.documents(text)
        offline = scan(casefile.cluster_of(manifests, now=now, hidden=hidden), [probe])
        wanted = Counter(finding.field.ref for finding in offline.findings if finding.fix)
        if not wanted:
            continue
        if hidden:
            note("hides kinds", name)
            continue
        try:
            bed.load(manifests)
        except Refused as refused:
            if refused.status not in (400, 422):  # that it is invalid, and nothing else
                raise
            note("refused by the server", f"{name}: {refused}")
            continue
        before = bed.scan(now)
        fixable = [f for f in before.report.findings if f.check == probe.id() and f.fix]
        # by object: the server's defaults may name a list item otherwise than the case does
        for missed in wanted - Counter(finding.field.ref for finding in fixable):
            note("not found live", f"{name}: {missed}")
        for finding in fixable:
            if reason := closure.out_of_reach(finding):
                note("out of reach", f"{name}: {reason}")
                continue
            paste = name == "page" and shutil.which("kubectl") is not None
            faults = closure.faults(bed, before, finding, now, paste=paste)
            broken += [f"{name}: {finding.id}: {fault}" for fault in faults]
            note("broken" if faults else "hold", f"{name}: {finding.id} {faults or ''}")
            bed.back()

    assert not broken, "\n".join(broken)
    if not tried["hold"]:
        pytest.skip(", ".join(tried) or "has no fix")


# --- the test bites --------------------------------------------------------------------------


def with_a_field_dropped(finding: Finding, _: Scanned) -> Fix:
    def drop(after: dict[str, Any]) -> None:
        after["spec"]["infrastructure"]["annotations"].popitem()

    return _mutated(finding, drop)


def in_another_namespace(finding: Finding, _: Scanned) -> Fix:
    fix = _mutated(finding, lambda after: after["metadata"].update(namespace="app"))
    (change,) = fix.changes
    return replace(fix, changes=(replace(change, ref=replace(change.ref, namespace="app")),))


def with_the_new_item_alone(finding: Finding, _: Scanned) -> Fix:
    def cut(after: dict[str, Any]) -> None:
        del after["spec"]["gateways"][:-1]

    return _mutated(finding, cut)


def that_deletes_what_others_name(finding: Finding, before: Scanned) -> Fix:
    (gateway,) = (r for r in before.cluster if (r.ref.kind.name, r.name) == ("Gateway", "internal"))
    return Fix("Delete it", (gateway.deleted(),))


def that_never_rests(finding: Finding, _: Scanned) -> Fix:
    assert finding.fix
    command = 'kubectl annotate gatewayclass eg --overwrite at="$(date +%s.%N)"'
    return replace(finding.fix, commands=(command,))


def _mutated(finding: Finding, mutate: Callable[[dict[str, Any]], object]) -> Fix:
    assert finding.fix
    (change,) = finding.fix.changes
    assert change.after
    wrong = copy.deepcopy(change.after)
    mutate(wrong)
    return replace(finding.fix, changes=(replace(change, after=wrong),))


def settled(bed: Bed, before: Scanned, now: datetime) -> bool:
    """Whether the server tells the case again as it was: its caches follow the store a little late."""
    for _ in range(100):
        if bed.scan(now).ids == before.ids:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("check", "case", "mutate", "fault"),
    [
        (
            "aws/annotations-on-gateway-metadata",
            "page",
            with_a_field_dropped,
            "the finding is still there",
        ),
        pytest.param(
            "aws/annotations-on-gateway-metadata",
            "page",
            that_never_rests,
            "each time changes /registry/gateway.networking.k8s.io/gatewayclasses/eg",
            marks=pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl on PATH"),
        ),
        (
            "gateway-api/reference-not-granted",
            "page",
            in_another_namespace,
            "the finding is still there",
        ),
        (
            "istio/match-gateway-not-bound",
            "bad_sections.yaml",
            with_the_new_item_alone,
            "it opens istio/match-gateway-not-bound",
        ),
        (
            "istio/match-gateway-not-bound",
            "page",
            that_deletes_what_others_name,
            "VirtualService shop/shop still names Gateway shop/internal",
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_wrong_fix_does_not_pass(
    bed: Bed,
    check: str,
    case: str,
    mutate: Callable[[Finding, Scanned], Fix],
    fault: str,
) -> None:
    text = dict(texts(catalogue()[check]))[case]
    now = casefile.now_of(text)
    bed.load(casefile.documents(text))
    before = bed.scan(now)
    findings = [f for f in before.report.findings if f.check == check and f.fix]
    finding = max(findings, key=lambda f: str(f.field.ref))  # of two, VirtualService shop/shop

    wrong = closure.faults(bed, before, replace(finding, fix=mutate(finding, before)), now)
    bed.back()
    assert settled(bed, before, now), "the case is not there again"
    right = closure.faults(bed, before, finding, now)

    assert any(fault in told for told in wrong), wrong
    assert not right
