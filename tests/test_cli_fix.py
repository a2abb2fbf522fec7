"""`gwdoctor fix`: what it prints, what it claims, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import casefile
import certs
import msgspec
import pytest
import yaml
from commandline import Here

from gwdoctor import Change, Cluster, Finding, Fix, Kind, Probe, Severity, kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.kinds import READINGS
from gwdoctor.model import Ref, Report, Resource
from gwdoctor.owners import owner
from gwdoctor.remedy import NOT_TRIED, Budget, Prover, proven

CHECK = "kong/upstream-protocol-missing"
KONG = """\
# the store
apiVersion: v1
kind: Service
metadata:
  name: minio
  namespace: s3
  annotations:
    argocd.argoproj.io/tracking-id: shop:/Service:s3/minio
spec:
  ports: [{name: https, port: 9000}]  # TLS
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: s3, namespace: s3}
spec:
  ingressClassName: kong
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: minio, port: {name: https}}}}]}}]
"""


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def kong(tmp_path: Path) -> Path:
    file = tmp_path / "kong.yaml"
    file.write_text(KONG)
    return file


@pytest.fixture
def finding_id(here: Here, kong: Path) -> str:
    (found,) = here("scan", "-f", kong, "--select", CHECK, "-o", "json").report["findings"]
    return str(found["id"])


# --- what is printed ------------------------------------------------------------------------


def test_the_manifest_with_what_one_has_to_know(here: Here, kong: Path, finding_id: str) -> None:
    done = here("fix", finding_id, "-f", kong)

    assert done.code == 0
    assert yaml.safe_load(done.out) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "minio",
            "namespace": "s3",
            "annotations": {"konghq.com/protocol": "https"},
        },
    }
    comment = [line for line in done.out.splitlines() if line.startswith("#")]
    assert comment[0] == f"# {finding_id}"
    assert "#   changes Service s3/minio: /metadata/annotations/konghq.com~1protocol" in comment
    assert any(line.startswith("# verified: clears it and opens no other") for line in comment)
    assert any("owner of Service s3/minio: Argo CD, application shop" in line for line in comment)


@pytest.mark.parametrize("name", [CHECK, f"{CHECK}-", "kong/upstream-pro"])
def test_a_check_and_a_beginning_name_it_too(here: Here, kong: Path, name: str) -> None:
    assert here("fix", name, "-f", kong).out == here("fix", CHECK, "-f", kong).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kong/upstream-protocol-mising",), f"Did you mean '{CHECK}'"),
        (("kong/plugin-not-in-kong",), "kong/plugin-not-in-kong finds nothing here"),
        ((), "name a finding"),
        ((CHECK, "--all"), "exclude each other"),
        ((CHECK, "-o", "xml"), "none of yaml, json, patch, kubectl"),
        ((CHECK, "--diff", "-o", "json"), "exclude each other"),
        ((CHECK, "--dry-run", "client"), "none of server, none"),
        ((CHECK, "--dry-run=server"), "asks a cluster"),
    ],
)
def test_a_mistake(here: Here, kong: Path, arguments: tuple[str, ...], said: str) -> None:
    done = here("fix", *arguments, "-f", kong)

    assert done.code == 2
    assert said in done.err
    assert not done.out


def test_the_other_forms(here: Here, kong: Path) -> None:
    (patch,) = json.loads(here("fix", CHECK, "-f", kong, "-o", "patch").out)
    assert patch["patch"][-1] == {
        "op": "add",
        "path": "/metadata/annotations/konghq.com~1protocol",
        "value": "https",
    }
    (whole,) = json.loads(here("fix", CHECK, "-f", kong, "-o=json").out)
    assert whole["fix"]["verified"] == {"clears": True, "opens": [], "unknown": []}
    assert whole["owners"][0]["owner"].startswith("Argo CD")
    assert whole["server"] is None
    lines = here("fix", CHECK, "-f", kong, "-o", "kubectl").out.splitlines()
    assert lines[-1].startswith("kubectl patch service minio -n s3 --type json -p ")
    assert "+    konghq.com/protocol: https" in here("fix", CHECK, "-f", kong, "--diff").out


def test_a_decision_says_what_and_between_what(here: Here, tmp_path: Path) -> None:
    """Of every sort of finding without a fix: its advice, and the object that it is about."""
    page = tmp_path / "case.yaml"
    probe = next(p for p in catalogue().values() if _decides(p))
    page.write_text(probe.example("bad"))

    done = here("fix", probe.id(), "-f", page)

    assert done.code == 0
    assert yaml.safe_load(done.out) is None
    assert "# decide: " in done.out
    assert "#   between: " in done.out


def _decides(probe: type[Probe]) -> bool:
    if "!cert" in probe.example("bad") or "!time" in probe.example("bad"):
        return False
    found = scan(casefile.cluster_of(casefile.documents(probe.example("bad"))), [probe]).findings
    return len(found) == 1 and found[0].fix is None and bool(found[0].because)


def test_all_leaves_out_what_a_person_has_to_look_at(here: Here) -> None:
    files = sorted(Path("tests/live/scenes").glob("00[13]*.broken.yaml"))
    arguments = [word for file in files for word in ("-f", str(file))]

    safe = json.loads(here("fix", "--all", *arguments, "-o", "json").out)
    both = json.loads(here("fix", "--all", "--include-review", *arguments, "-o", "json").out)

    assert {found["fix"]["disposition"] for found in safe} <= {"safe"}
    assert "review" in {found["fix"]["disposition"] for found in both}
    assert "left out" in here("fix", "--all", *arguments).err


def test_scan_shows_the_proof(here: Here, kong: Path) -> None:
    assert "verified: clears it and opens no other finding" in here("scan", "-f", kong).out


# --- the proof ------------------------------------------------------------------------------

_SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}}


class Labelled(Probe):
    """A Service carries the label it should not."""

    severity = Severity.LOW
    subjects = (kinds.SERVICE,)
    label = "bad"

    def run(self, cluster: Cluster):  # type: ignore[no-untyped-def]
        for service in cluster[kinds.SERVICE]:
            if service.label(self.label):
                yield self.finding(service, self.label, root=service)

    @classmethod
    def id(cls) -> str:
        return f"test/{cls.label}"


class LabelledOtherwise(Labelled):
    """The same with another label."""

    label = "worse"


def _service(**labels: str) -> dict[str, object]:
    return {**_SERVICE, "metadata": {"name": "a", "namespace": "n", "labels": labels}}


def _prove(change: Change) -> tuple[Report, Finding]:
    cluster = casefile.cluster_of([_service(bad="1")])
    probes = [Labelled, LabelledOtherwise]
    report = scan(cluster, probes)
    (found,) = report.findings
    fixed = Report(
        target=report.target,
        findings=(_with(found, change),),
        skips=(),
        checks=2,
    )
    told = proven(fixed, Prover(cluster, probes, report), Budget())
    return report, told.findings[0]


def _with(finding: Finding, change: Change) -> Finding:
    from dataclasses import replace

    return replace(finding, fix=Fix("mend", (change,)))


def _change(**labels: str) -> Change:
    ref = Ref(kinds.SERVICE, "n", "a", "v1")
    return Change(ref, _service(bad="1"), _service(**labels))


def test_a_fix_that_holds() -> None:
    _, told = _prove(_change(good="1"))

    assert told.fix is not None
    assert told.fix.proof is not None
    assert told.fix.proof.holds
    assert told.fix.proof.checks == 2


def test_a_fix_that_does_not_clear() -> None:
    _, told = _prove(_change(bad="2"))

    assert told.fix is not None
    assert told.fix.proof is not None
    assert told.fix.proof.clears is False
    assert not told.fix.proof.holds


def test_a_fix_that_opens_another() -> None:
    _, told = _prove(_change(worse="1"))

    assert told.fix is not None
    assert told.fix.proof is not None
    assert told.fix.proof.clears
    assert [name.rpartition("-")[0] for name in told.fix.proof.opens] == ["test/worse"]


def test_a_fix_for_which_there_is_no_budget_says_so() -> None:
    cluster = casefile.cluster_of([_service(bad="1")])
    report = scan(cluster, [Labelled])
    findings = (_with(report.findings[0], _change(good="1")),)
    prover = Prover(cluster, [Labelled], report)

    told = proven(
        Report(target=report.target, findings=findings, skips=(), checks=1),
        prover,
        Budget(objects=0),
    )

    assert told.findings[0].fix is not None
    assert told.findings[0].fix.proof is not None
    assert told.findings[0].fix.proof.unknown == (NOT_TRIED,)


def test_the_picture_after_a_change_is_the_one_that_would_be_read() -> None:
    """Cluster.after shares what it can, and answers as a cluster made anew does."""
    first, second = _service(a="1"), {**_service(b="1")}
    second["metadata"] = {"name": "b", "namespace": "n", "labels": {"b": "1"}}
    cluster = casefile.cluster_of([first, second])
    cluster.select(kinds.SERVICE, {"a": "1"})
    (put,) = casefile.resources_of([_service(c="1")])

    after = cluster.after([put], [Ref(kinds.SERVICE, "n", "b")])

    assert [r.name for r in after[kinds.SERVICE]] == ["a"]
    assert not after.select(kinds.SERVICE, {"a": "1"})
    assert after.get(kinds.SERVICE, "n", "b") is None
    assert [r.name for r in cluster[kinds.SERVICE]] == ["a", "b"]
    assert cluster.select(kinds.SERVICE, {"a": "1"})


each_check = pytest.mark.parametrize("probe", catalogue().values(), ids=catalogue().keys())

#: Examples whose fix brings something to light that was wrong before and could not be seen.
KNOWN: set[str] = {
    "istio/wildcard-server-takes-foreign-host",  # the case hides Pods: who else is hit is unknown
}


@each_check
def test_every_fix_of_the_catalogue_holds(probe: type[Probe]) -> None:
    folder = casefile.CASES / probe.id().replace("-", "_")
    everything = list(catalogue().values())
    for text in (probe.example("bad"), *(f.read_text() for f in sorted(folder.glob("bad*.yaml")))):
        cluster = casefile.cluster_of(
            casefile.documents(text), now=casefile.now_of(text), hidden=casefile.unseen(text)
        )
        if not any(f.fix and f.fix.changes for f in scan(cluster, [probe]).findings):
            continue
        report = scan(cluster, everything)
        prover = Prover(cluster, everything, report)
        for finding in report.findings:
            if finding.check == probe.id() and finding.fix and finding.fix.changes:
                proof = prover.prove(finding)
                assert proof.holds or probe.id() in KNOWN, (finding.id, proof, text)
                assert told_of(*prover.changed(finding)) == told_of(*prover.changed(finding), True)


def told_of(cluster: Cluster, probes: Collection[type[Probe]], afresh: bool = False) -> list[Any]:
    """What the checks say of a changed picture, with the joins that it kept or without them."""
    if afresh:
        cluster._derived.clear()
    report = scan(cluster, probes)
    return [(f.id, f.message, f.severity, f.confidence, f.because) for f in report.findings]


@each_check
def test_new_objects_are_written_in_a_version_that_the_cluster_serves(probe: type[Probe]) -> None:
    manifests = casefile.documents(probe.example("bad"))
    versions = {kind: reading.versions[-1] for kind, reading in READINGS.items()}
    cluster = Cluster(casefile.resources_of(manifests), versions=versions, now=certs.NOW)
    for finding in scan(cluster, [probe]).findings:
        for change in finding.fix.changes if finding.fix else ():
            if change.before is None and change.after is not None:
                kind = Kind.of(change.after)
                if kind in READINGS:
                    assert change.after["apiVersion"] == cluster.api_version(kind)


# --- owners ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "managers", "said"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, (), "Argo CD, application shop"),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            (),
            "Flux, Kustomization flux-system/apps",
        ),
        (
            {
                "labels": {
                    "helm.toolkit.fluxcd.io/name": "web",
                    "app.kubernetes.io/managed-by": "Helm",
                },
                "annotations": {"meta.helm.sh/release-name": "web"},
            },
            (),
            "Flux, HelmRelease web",
        ),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {
                    "meta.helm.sh/release-name": "web",
                    "meta.helm.sh/release-namespace": "shop",
                },
            },
            (),
            "Helm, release shop/web",
        ),
        ({"labels": {"app.kubernetes.io/instance": "web"}}, (), "perhaps an application"),
        (
            {"ownerReferences": [{"kind": "Gateway", "name": "eg", "controller": True}]},
            (),
            "made by the controller of Gateway eg",
        ),
        ({}, ("kubectl-edit", "terraform"), "field manager terraform"),
        ({}, ("kubectl-client-side-apply",), "applied by hand"),
        ({}, (), ""),
        ({"ownerReferences": [{"kind": "Gateway", "name": "eg"}]}, (), ""),
    ],
)
def test_who_keeps_an_object(
    metadata: dict[str, object], managers: tuple[str, ...], said: str
) -> None:
    value = {"metadata": {"name": "a", "namespace": "n", **metadata}}
    service = Resource(Ref(kinds.SERVICE, "n", "a"), (), msgspec.convert(value, kinds.Whole))
    told = owner(service, managers)

    assert told.startswith(said) if said else not told


# --- stats ----------------------------------------------------------------------------------


def test_stats_add_up(here: Here) -> None:
    done = here("checks", "--stats", "--area", "kong", "-o", "json")

    whole = json.loads(done.out)
    total = whole["total"]
    assert total["findings"] == total["safe"] + total["review"] + total["none"] > 0
    tried = total["verified"] + total["not_proven"] + total["by_commands"]
    assert tried == total["safe"] + total["review"]
    assert all(name.startswith("kong/") for name in whole["checks"])
    assert "counted over" in here("checks", "--stats", "--area", "aws").out
