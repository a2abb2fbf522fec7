"""What must hold for every check, so that no reviewer has to look for it."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import casefile
import msgspec
import pytest

from gwdoctor import Cluster, Finding, Kind, Probe
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.model import Ref, Resource
from gwdoctor.source import decode

each_check = pytest.mark.parametrize("probe", catalogue().values(), ids=catalogue().keys())


def example(probe: type[Probe]) -> list[dict[str, Any]]:
    return casefile.documents(probe.example("bad"))


def texts(probe: type[Probe]) -> list[str]:
    """The example of the page and every case."""
    folder = casefile.CASES / probe.id().replace("-", "_")
    return [probe.example("bad"), *(file.read_text() for file in sorted(folder.glob("*.yaml")))]


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(k in whole and contains(whole[k], v) for k, v in part.items())
    return bool(whole == part)


def fixed(manifests: list[dict[str, Any]], findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """The cluster after the fixes of these findings."""
    state = {next(decode.resources(m)).ref: m for m in manifests}
    for finding in findings:
        for change in finding.fix.changes if finding.fix else ():
            if change.after is None:
                state.pop(change.ref, None)
            else:
                state[change.ref] = change.after
    return list(state.values())


@each_check
def test_name_says_what_is_wrong(probe: type[Probe]) -> None:
    assert re.fullmatch(r"[a-z-]+/[a-z0-9]+(-[a-z0-9]+)+", probe.id())
    pascal = "".join(part.title() for part in probe.id().partition("/")[2].split("-"))
    assert probe.__name__ == pascal


@each_check
def test_page_tells_what_a_reader_needs(probe: type[Probe]) -> None:
    page = probe.doc()

    assert probe.title().endswith(".")
    assert len(probe.title()) <= 72
    assert "Not a problem" in page, "when is it not one?"
    assert "```sh\n" in page, "a command with which the reader checks it without us"
    assert "Source:" in page, "where the rule was read: project, file, version"


@each_check
def test_declares_each_kind_once(probe: type[Probe]) -> None:
    assert probe.subjects
    assert len(set(probe.reads())) == len(probe.reads())


@each_check
def test_bad_example_is_found_and_left_alone(probe: type[Probe]) -> None:
    cluster = casefile.cluster_of(example(probe))
    before = [msgspec.to_builtins(copy.deepcopy(r.value)) for r in cluster]

    report = scan(cluster, [probe])

    assert {f.check for f in report.findings} == {probe.id()}
    assert not report.skips
    after = [msgspec.to_builtins(r.value) for r in cluster]
    assert after == before, "a probe wrote to the cluster picture"


@each_check
def test_fix_cures_the_bad_example(probe: type[Probe]) -> None:
    report = scan(casefile.cluster_of(example(probe)), [probe])
    if not any(f.fix and f.fix.changes for f in report.findings):
        pytest.skip("no fix that a manifest can say")

    after = fixed(example(probe), report.findings)

    assert not scan(casefile.cluster_of(after), [probe]).findings
    for shown in casefile.documents(probe.example("fixed")):
        assert any(contains(manifest, shown) for manifest in after), shown


@each_check
def test_fix_cures_every_case(probe: type[Probe]) -> None:
    """One finding at a time: it is gone after its fix, and no new one of its check stands."""
    for text in texts(probe):
        manifests = casefile.documents(text)
        hidden, now = casefile.unseen(text), casefile.now_of(text)
        before = scan(casefile.cluster_of(manifests, now=now, hidden=hidden), [probe])
        for finding in before.findings:
            if not finding.fix or not finding.fix.changes:
                continue
            cured = casefile.cluster_of(fixed(manifests, (finding,)), now=now, hidden=hidden)
            left = {f.id for f in scan(cured, [probe]).findings}
            assert finding.id not in left, f"{finding.message}\n{text}"
            assert left <= {f.id for f in before.findings}, "the fix opens another"


@each_check
def test_a_finding_has_a_fix_or_says_what_to_decide(probe: type[Probe]) -> None:
    for text in texts(probe):
        cluster = casefile.cluster_of(casefile.documents(text), now=casefile.now_of(text))
        for finding in scan(cluster, [probe]).findings:
            assert finding.fix or finding.advice, finding.message
            if finding.fix:
                assert finding.fix.changes or finding.fix.commands, finding.message
            assert not finding.message.endswith("."), finding.message
            assert "\n" not in finding.message


class Watched(Cluster):
    """A cluster that writes down which kinds are asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.read: set[Kind] = set()
        super().__init__(*args, **kwargs)

    def _declared(self, kind: Kind) -> None:
        self.read.add(kind)


@each_check
def test_reads_what_it_declares_and_nothing_else(probe: type[Probe]) -> None:
    read: set[Kind] = set()
    for text in texts(probe):
        cluster = casefile.cluster_of(
            casefile.documents(text), now=casefile.now_of(text), cls=Watched
        )
        assert isinstance(cluster, Watched)
        scan(cluster, [probe])
        read |= cluster.read

    assert read == set(probe.reads())


GONE = object()


def with_one_hole(value: Any) -> Iterator[Any]:
    """Every way to null, to lose, or to get the type wrong of one optional field."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in pairs:
        if key in ("apiVersion", "kind", "metadata", "data"):
            continue
        for put_there in (None, GONE, [], {}, "x", 7):
            yield put(value, key, put_there)
        if isinstance(child, dict | list):
            yield from (put(value, key, smaller) for smaller in with_one_hole(child))


def put(value: Any, key: Any, child: Any) -> Any:
    copied = copy.copy(value)
    if child is GONE:
        del copied[key]
    else:
        copied[key] = child
    return copied


@pytest.mark.slow
@each_check
def test_survives_any_missing_field(probe: type[Probe]) -> None:
    manifests = example(probe)
    for position, manifest in enumerate(manifests):
        for holed in with_one_hole(manifest):
            changed = [*manifests[:position], holed, *manifests[position + 1 :]]
            try:
                cluster = casefile.cluster_of(changed)
            except decode.BadObject:
                continue  # no API server would hold it, and files name it to the user
            report = scan(cluster, [probe])
            bugs = [skip.reason for skip in report.skips if skip.is_bug]
            assert not bugs, (bugs, holed)


@each_check
def test_order_does_not_matter(probe: type[Probe]) -> None:
    manifests = example(probe)
    shuffled = manifests[::-1]
    random.Random(7).shuffle(shuffled)

    assert scan(casefile.cluster_of(manifests), [probe]) == scan(
        casefile.cluster_of(shuffled), [probe]
    )


@each_check
def test_says_so_when_it_cannot_see(probe: type[Probe]) -> None:
    for kind in probe.reads():
        cluster = casefile.cluster_of(example(probe), hidden=[kind])

        report = scan(cluster, [probe])

        assert report.skips, f"silent although {kind} could not be read"
        assert not [skip for skip in report.skips if skip.is_bug]


@each_check
def test_has_cases_of_both_sorts(probe: type[Probe]) -> None:
    folder = casefile.CASES / probe.id().replace("-", "_")

    assert list(folder.glob("bad*.yaml"))
    assert list(folder.glob("ok*.yaml"))


def test_no_case_without_a_check() -> None:
    folders = {f"{p.parent.name}/{p.name}".replace("_", "-") for p in casefile.CASES.glob("*/*")}

    assert folders == set(catalogue())


def test_fingerprint_survives_reordering_and_change_of_message() -> None:
    def gateway(*hosts: str) -> Resource:
        servers = [{"port": {"name": host, "number": 443}, "hosts": [host]} for host in hosts]
        return Resource(Ref(Kind("Gateway"), "a", "g"), (), {"spec": {"servers": servers}})

    def found(resource: Resource, index: int, message: str) -> Finding:
        probe = next(iter(catalogue().values()))()
        return probe.finding(
            resource.at("spec", "servers", index, "hosts", 0), message, root=resource
        )

    first = found(gateway("a", "b"), 1, "one")
    second = found(gateway("c", "b", "a"), 1, "two")
    other = found(gateway("c", "b", "a"), 2, "two")

    assert first.id == second.id
    assert second.id != other.id


def test_fingerprint_survives_the_move_of_a_nameless_rule() -> None:
    def found(*rules: dict[str, Any], of: int) -> Finding:
        ref = Ref(Kind("VirtualService"), "a", "v")
        resource = Resource(ref, (), {"spec": {"http": list(rules)}})
        probe = next(iter(catalogue().values()))()
        return probe.finding(resource.at("spec", "http", of, "route"), "one", root=resource)

    rest: dict[str, Any] = {"route": []}
    narrow = {"match": [{"port": 1}], "route": []}

    assert found(rest, narrow, of=0).id == found(narrow, rest, of=1).id
    assert found(rest, narrow, of=0).id != found(rest, narrow, of=1).id
    assert found(rest, rest, of=0).id != found(rest, rest, of=1).id
