"""Of a report what was asked for."""

from __future__ import annotations

import pytest
import reports

from gwdoctor import Cluster, Confidence, Severity, kinds
from gwdoctor.cli import narrow, values
from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.model import Skip

SERVICE = reports.resource(reports.SERVICE, "minio", "minio", labels={})
ROUTE = reports.resource(reports.INGRESS, "front", "route")


def test_a_cause_in_the_namespace_is_enough() -> None:
    finding = reports.finding(because=(ROUTE.at("spec"),))
    report = reports.report(finding)

    assert narrow.within_namespaces(report, frozenset({"minio"})).findings == (finding,)
    assert narrow.within_namespaces(report, frozenset({"front"})).findings == (finding,)
    assert narrow.within_namespaces(report, frozenset({"other"})).findings == ()


def test_a_namespace_object_is_in_its_namespace() -> None:
    space = reports.resource(kinds.NAMESPACE, "", "shop")
    report = reports.report(reports.finding(field=space, root=space))

    assert narrow.within_namespaces(report, frozenset({"shop"})).findings
    assert not narrow.within_namespaces(report, frozenset({"other"})).findings


def test_what_was_not_checked_elsewhere_is_left_out_and_the_rest_stays() -> None:
    here = Skip(check="a/b", reason="r", ref=ROUTE.ref)
    there = Skip(check="a/b", reason="r", ref=SERVICE.ref)
    everywhere = Skip(check="a/b", reason="r")
    report = reports.report(skips=(here, there, everywhere))

    assert narrow.within_namespaces(report, frozenset({"front"})).skips == (here, everywhere)


def test_labels_of_the_object_or_of_a_cause() -> None:
    plain = reports.resource(reports.SERVICE, "minio", "minio")
    labelled = reports.resource(reports.INGRESS, "front", "route")
    labelled.value.metadata.labels = {"app": "x"}
    finding = reports.finding(field=plain, because=(labelled.at("spec"),))
    cluster = Cluster([plain, labelled])

    for text, told in (("app=x", 1), ("app=y", 0)):
        selected = values.label_selector(text)
        left = narrow.with_labels(reports.report(finding), cluster, selected)
        assert len(left.findings) == told


def test_thresholds_count_what_they_hide() -> None:
    findings = [reports.finding(severity=severity) for severity in Severity]
    report = reports.report(*findings, ignored=3)

    left = narrow.at_least(report, Severity.HIGH, Confidence.LIKELY)

    assert {finding.severity for finding in left.findings} == {Severity.HIGH, Severity.CRITICAL}
    assert left.ignored == 3 + 2
    assert narrow.at_least(report, Severity.LOW, Confidence.CERTAIN).findings == ()


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("a=1", {"a": "1"}, True),
        ("a = 1 , b", {"a": "1"}, False),
        ("a=1,b", {"a": "1", "b": ""}, True),
        ("a!=1", {}, True),
        ("a!=1", {"a": "1"}, False),
        ("!a", {}, True),
        ("! a", {"a": ""}, False),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a in (1,2)", {}, False),
        ("a notin (1)", {}, True),
        ("a notin (1)", {"a": "1"}, False),
        ("a=", {"a": ""}, True),
        ("app.kubernetes.io/name=x-1.2_3", {"app.kubernetes.io/name": "x-1.2_3"}, True),
        ("in in (a)", {"in": "a"}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], selected: bool) -> None:
    assert values.label_selector(text)(labels) == selected


@pytest.mark.parametrize("text", ["", ",", "a=1,", "a in 1", "a in (", "a=(b)", "a b", "=a", "a>1"])
def test_what_is_no_label_selector(text: str) -> None:
    with pytest.raises(Mistake, match="-l: "):
        values.label_selector(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("200ms", 0.2),
        ("7", 7),
        ("0", None),
        ("0s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert values.seconds(text, "--timeout") == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 m", "1y", "1s2", "1e3"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Mistake, match="--timeout"):
        values.seconds(text, "--timeout")


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("isto", ["istio", "kong"], " Did you mean 'istio'?"),
        ("protocol-missing", ["kong/upstream-protocol-missing"], " Did you mean 'kong/upstream-"),
        ("zzz", ["istio"], ""),
    ],
)
def test_near_names(word: str, known: list[str], said: str) -> None:
    assert nearest(word, known).startswith(said)
    assert bool(nearest(word, known)) == bool(said)
