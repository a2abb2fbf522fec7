"""Every format, read back by a parser that is not ours: what a cluster holds stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import reports
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as older_metrics
from sarif_form import Run, Sarif

from gwdoctor import pages
from gwdoctor.catalogue import catalogue
from gwdoctor.model import Origin, Report, Severity, Skip
from gwdoctor.render import markdown, table
from gwdoctor.render.document import document
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.render.words import Ending, visible

STYLE = Style(end=Ending(1, "2 findings at or above high"))
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
every_report = pytest.mark.parametrize("made", reports.KINDS.values(), ids=reports.KINDS)
hostile_texts = pytest.mark.parametrize(
    "text", reports.HOSTILES, ids=[str(n) for n in range(len(reports.HOSTILES))]
)


def written(report: Report, form: str, style: Style = STYLE) -> str:
    return FORMATS[form].render(report, style)


# --- what holds for all of them -------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@every_report
def test_no_format_holds_what_cannot_be_seen(form: str, made: Callable[[], Report]) -> None:
    text = written(made(), form)

    assert not CONTROL.search(text)
    assert text.endswith("\n")


@pytest.mark.parametrize("form", FORMATS)
@every_report
def test_the_same_report_gives_the_same_bytes(form: str, made: Callable[[], Report]) -> None:
    assert written(made(), form) == written(made(), form)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_every_finding(form: str) -> None:
    text = written(reports.full(), form)

    for finding in reports.full().findings:
        assert (finding.check if form == "openmetrics" else finding.id) in text


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(text=st.text())
def test_any_text_passes_through_every_format(text: str) -> None:
    for form in FORMATS:
        assert not CONTROL.search(written(reports.hostile(text), form))


@pytest.mark.parametrize("form", FORMATS)
def test_the_name_of_a_file_may_be_no_text(form: str) -> None:
    """Python reads bytes that are no UTF-8 as halves of surrogate pairs."""
    report = reports.report(
        reports.finding(origin=Origin("m\udcfc.yaml", 1)),
        skips=(Skip(check="", reason="m\udcfc.yaml:1: is broken", problem="broken"),),
    )

    assert not CONTROL.search(written(report, form))


# --- json, jsonl, yaml ----------------------------------------------------------------------------


@every_report
def test_json_lines_are_the_document_line_by_line(made: Callable[[], Report]) -> None:
    head, *lines = [json.loads(line) for line in written(made(), "jsonl").splitlines()]
    whole = document(made())

    def of_type(name: str) -> list[Any]:
        items = [dict(line) for line in lines if line["type"] == name]
        return [item for item in items if item.pop("type")]

    assert head.pop("type") == "report"
    assert of_type("finding") == whole.pop("findings")
    assert of_type("not_checked") == whole.pop("not_checked")
    assert head == whole


@every_report
def test_json_and_yaml_are_the_document(made: Callable[[], Report]) -> None:
    assert json.loads(written(made(), "json")) == document(made())
    assert yaml.safe_load(written(made(), "yaml")) == document(made())


# --- csv --------------------------------------------------------------------------------------


@hostile_texts
def test_csv_is_a_table_without_formulas(text: str) -> None:
    report = reports.hostile(text)
    rows = list(csv.DictReader(io.StringIO(written(report, "csv")), strict=True))

    assert [row["status"] for row in rows] == ["finding", "finding", "not checked", "not checked"]
    for row in rows:
        assert set(row) == set(table.COLUMNS)
        for cell in row.values():
            assert not re.match(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]", cell)
        assert row["message"].removeprefix("'") == visible(text)
    for row in rows[:3]:
        assert row["name"].removeprefix("'") == visible(text)


def test_a_cell_that_would_be_calculated_is_text() -> None:
    formulas = [t for t in reports.HOSTILES if t.startswith(("=", "-", "\uff1d"))]
    assert len(formulas) == 3

    for text in formulas:
        (row, *_rest) = csv.DictReader(io.StringIO(written(reports.hostile(text), "csv")))
        assert row["message"] == f"'{visible(text)}"


def test_a_cell_holds_no_more_than_a_spreadsheet_reads() -> None:
    report = reports.hostile("=" + "x" * 200_000)

    for row in csv.DictReader(io.StringIO(written(report, "csv"))):
        assert all(len(cell) <= table.MOST for cell in row.values())
        assert row["message"].startswith("'=x")
        assert row["message"].endswith("-o json has all of it)")


# --- junit ------------------------------------------------------------------------------------


@every_report
def test_junit_counts_what_it_holds(made: Callable[[], Report]) -> None:
    root = ElementTree.fromstring(written(made(), "junit"))

    for element in (root, *root.iter("testsuite")):
        assert int(element.attrib["tests"]) == len(list(element.iter("testcase")))
        assert int(element.attrib["failures"]) == len(list(element.iter("failure")))
        assert int(element.attrib["errors"]) == len(list(element.iter("error")))
        assert int(element.attrib["skipped"]) == len(list(element.iter("skipped")))
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert len(names) == len(set(names))
    for case in root.iter("testcase"):
        assert len([child for child in case if child.tag in ("failure", "skipped", "error")]) <= 1


@hostile_texts
def test_junit_holds_hostile_names_as_text(text: str) -> None:
    root = ElementTree.fromstring(written(reports.hostile(text), "junit"))

    assert {element.tag for element in root.iter()} == {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "skipped",
        "error",
    }
    (failure,) = root.iter("failure")
    assert failure.attrib["message"].endswith(f": {visible(text)}")
    assert visible(text) in (failure.text or "")


def test_a_check_is_a_test_case() -> None:
    root = ElementTree.fromstring(written(reports.full(), "junit"))

    outcome = {
        case.attrib["name"]: ([*case] and case[0].tag) or "passed" for case in root.iter("testcase")
    }
    assert outcome == {
        "aws/client-address-lost": "skipped",
        "input/documents": "skipped",
        "istio/tls-server-overlap": "failure",
        "kong/a-b": "skipped",
        "kong/c-d": "skipped",
        "kong/upstream-protocol-missing": "failure",
        "tls/certificate-expires-soon": "failure",
    }


def test_a_check_that_ran_and_found_nothing_has_passed() -> None:
    root = ElementTree.fromstring(written(reports.report(ran=("a/b",)), "junit"))

    (case,) = root.iter("testcase")
    assert (case.attrib["name"], len(case)) == ("a/b", 0)


def test_a_check_that_broke_is_an_error() -> None:
    broken = Skip(check="a/b", reason="gwdoctor failed in this check", problem="bug")

    root = ElementTree.fromstring(written(reports.report(skips=(broken,)), "junit"))

    assert [error.attrib["message"] for error in root.iter("error")] == [broken.reason]


# --- github -----------------------------------------------------------------------------------

COMMAND = re.compile(r"::(error|warning|notice) ([^:\r\n]*)::([^\r\n]*)\Z")


def commands(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """As the runner reads them: by line, `::` up to the next `::`, then unescaped."""
    for line in text.splitlines():
        match = COMMAND.match(line.strip())
        if match is None:
            assert "##[" not in line
            assert not line.strip().startswith("::")
            continue
        pairs = [pair.partition("=") for pair in match[2].split(",")]
        yield match[1], {key: unescaped(value) for key, _, value in pairs}, unescaped(match[3])


def unescaped(text: str) -> str:
    for escape, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escape, character)
    return text.replace("%25", "%")


@hostile_texts
def test_annotations_are_one_command_each(text: str) -> None:
    found = list(commands(written(reports.hostile(text), "github")))

    assert [name for name, _, _ in found] == ["error", "error", *["warning"] * (len(found) - 2)]
    assert len(found) in (3, 4)
    for _, properties, _ in found:
        assert set(properties) <= {"file", "line", "title"}
    first, second = found[0], found[1]
    assert first[2].split("\n")[0].endswith(f": {visible(text)}")
    assert second[1]["file"] == visible(text or "-")
    assert second[1]["line"] == "3"


def test_the_worst_annotations_come_first_and_severity_is_their_kind() -> None:
    found = list(commands(written(reports.full(), "github")))

    assert [name for name, _, _ in found] == ["error", "error", "notice", "warning", "warning"]
    assert found[0][1] == {
        "file": "shop/minio.yaml",
        "line": "7",
        "title": "critical kong/upstream-protocol-missing-47cc1e0a",
    }


# --- markdown ---------------------------------------------------------------------------------


def tokens(text: str) -> list[Any]:
    return MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(text)


def inline(text: str) -> Iterator[Any]:
    for token in tokens(text):
        yield token
        yield from token.children or ()


def shown(token: Any) -> str:
    return "".join(child.content for child in token.children or ())


@every_report
def test_markdown_holds_no_markup_of_the_cluster(made: Callable[[], Report]) -> None:
    kinds = {token.type for token in inline(written(made(), "markdown"))}

    assert not kinds & {"html_block", "html_inline", "link_open", "image", "em_open", "code_block"}
    assert not kinds & {"blockquote_open", "ordered_list_open", "hr", "hardbreak"}


@hostile_texts
def test_markdown_shows_hostile_names_as_they_are(text: str) -> None:
    report = reports.hostile(text)
    found = tokens(written(report, "markdown"))

    cells = [shown(found[n + 1]) for n, token in enumerate(found) if token.type == "td_open"]
    assert len(cells) == 4 * len(report.findings)
    assert " ".join(cells[3].split()) == " ".join(visible(text).split())
    headings = [token for token in found if token.type == "heading_open"]
    assert [heading.tag for heading in headings] == ["h1", "h2", "h3", "h3", "h2"]
    fences = [token.info for token in found if token.type == "fence"]
    assert fences == ["yaml", "sh"]


@hostile_texts
def test_nobody_is_mentioned_and_nothing_is_linked(text: str) -> None:
    """GitHub does both to plain text, and to nothing that is code."""
    for token in inline(written(reports.hostile(text), "markdown")):
        if token.type == "text":
            assert not re.search(r"@|://|www\.", token.content)


def test_a_summary_that_is_too_long_loses_its_remedies_and_then_its_end() -> None:
    report = reports.report(*reports.full().findings * 20)
    whole = markdown.render(report, STYLE)

    assert markdown.within(report, STYLE, len(whole)) == whole
    for most in (len(whole) - 1, len(whole) // 2, 3000, 500):
        part = markdown.within(report, STYLE, most)
        assert len(part.encode()) <= most
        assert "```" not in part
        assert part.startswith("# 60 problems")
        assert part.endswith("exit 1: 2 findings at or above high\n")


# --- openmetrics --------------------------------------------------------------------------------


@pytest.mark.parametrize("parsed", [openmetrics, older_metrics])
@every_report
def test_metrics_are_read_by_both_parsers(parsed: Any, made: Callable[[], Report]) -> None:
    report = made()
    samples = [
        sample for family in parsed(written(report, "openmetrics")) for sample in family.samples
    ]
    by_name: dict[str, list[Any]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)

    found = {s.labels["severity"]: s.value for s in by_name["gwdoctor_findings_by_severity"]}
    assert found == {
        str(severity): sum(f.severity == severity for f in report.findings) for severity in Severity
    }
    assert sum(s.value for s in by_name.get("gwdoctor_findings", ())) == len(report.findings)
    assert sum(s.value for s in by_name.get("gwdoctor_not_checked", ())) == len(report.skips)
    assert by_name["gwdoctor_objects"][0].value == 16400
    assert by_name["gwdoctor_scan_duration_seconds"][0].value == 1.42
    assert by_name["gwdoctor_incomplete"][0].value == report.incomplete
    assert by_name["gwdoctor_build_info"][0].labels.get("context", "") == visible(
        report.target.context
    )
    if report.time:
        assert by_name["gwdoctor_scan_timestamp_seconds"][0].value == 1795262400


# --- sarif --------------------------------------------------------------------------------------


def run_of(report: Report) -> Run:
    (run,) = msgspec.json.decode(written(report, "sarif"), type=Sarif).runs
    return run


@every_report
def test_sarif_has_its_form(made: Callable[[], Report]) -> None:
    report = made()
    run = run_of(report)

    assert [result.partial_fingerprints["gwdoctorFindingId/v1"] for result in run.results] == [
        finding.id for finding in report.findings
    ]
    rules = [rule.id for rule in run.tool.driver.rules]
    assert len(rules) == len(set(rules))
    for result in run.results:
        assert rules[result.rule_index] == result.rule_id
        assert "](" not in result.message.text
        (location,) = result.locations
        assert location.physical_location is not None
    assert len(run.invocations[0].tool_execution_notifications) == len(report.skips)


def test_a_rule_has_the_page_of_its_check() -> None:
    rules = {rule.id: rule for rule in run_of(reports.full()).tool.driver.rules}

    known = rules["kong/upstream-protocol-missing"]
    assert known.help is not None
    assert known.help.markdown == pages.page(catalogue()[known.id])
    assert rules["kong/a-b"].help is None


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("shop/minio.yaml", "shop/minio.yaml"),
        ("./a b/ü.yaml", "a%20b/%C3%BC.yaml"),
        ("../x.yaml", "../x.yaml"),
        ("/srv/a.yaml", "file:///srv/a.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
    ],
)
def test_a_file_is_named_by_its_uri(file: str, uri: str) -> None:
    (result,) = run_of(reports.report(reports.finding(origin=Origin(file, 7)))).results

    place = result.locations[0].physical_location
    assert place is not None
    assert place.artifact_location.uri == uri
    assert place.artifact_location.description is None
    assert place.region.start_line == 7


def test_an_object_of_a_cluster_has_a_path_that_stands_for_it() -> None:
    service = reports.resource(reports.SERVICE, "..", "a/b")
    (result,) = run_of(reports.report(reports.finding(field=service, root=service))).results

    place = result.locations[0].physical_location
    assert place is not None
    assert place.artifact_location.uri == "prod-eu1/%2E%2E/Service/a%2Fb.yaml"
    assert place.artifact_location.description is not None


# --- golden -----------------------------------------------------------------------------------


def full() -> Report:
    return replace(reports.full(), version="1.2.3")


def test_golden_csv() -> None:
    assert written(full(), "csv") == snapshot("""\
status,severity,confidence,id,check,kind,namespace,name,path,message,fix,disposition,proof,advice,file,line
finding,critical,likely,kong/upstream-protocol-missing-47cc1e0a,kong/upstream-protocol-missing,Service,minio,minio,/spec/ports/0,Kong speaks plain HTTP to port 9000 (https),Tell Kong that this backend speaks HTTPS,review,,,shop/minio.yaml,7
finding,high,likely,istio/tls-server-overlap-e49d46d2,istio/tls-server-overlap,Gateway.networking.istio.io,web,old,,two servers share a certificate,,,,"Merge the servers, or give each host a certificate of its own",,
finding,low,likely,tls/certificate-expires-soon-4d627eba,tls/certificate-expires-soon,GatewayClass.gateway.networking.k8s.io,,kong,,it is cluster-scoped,,,,Decide,,
not checked,,,,kong/a-b,,,,,Namespace: may not be listed (403),,,,,,
not checked,,,,kong/c-d,Service,minio,minio,,Namespace: may not be listed (403),,,,,,
not checked,,,,,,,,,a.yaml:3: is not valid YAML,,,,,,
""")


def test_golden_junit() -> None:
    assert written(full(), "junit") == snapshot("""\
<?xml version='1.0' encoding='us-ascii'?>
<testsuites name="gwdoctor" tests="7" failures="3" errors="0" skipped="4" time="1.420">
  <testsuite name="aws" timestamp="2026-11-21T12:00:00" tests="1" failures="0" errors="0" skipped="1">
    <testcase classname="gwdoctor.aws" name="aws/client-address-lost">
      <skipped message="the kinds that it looks at are not installed" />
    </testcase>
  </testsuite>
  <testsuite name="input" timestamp="2026-11-21T12:00:00" tests="1" failures="0" errors="0" skipped="1">
    <testcase classname="gwdoctor.input" name="input/documents">
      <skipped message="a.yaml:3: is not valid YAML">
not checked: a.yaml:3: is not valid YAML
</skipped>
    </testcase>
  </testsuite>
  <testsuite name="istio" timestamp="2026-11-21T12:00:00" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="gwdoctor.istio" name="istio/tls-server-overlap">
      <failure type="high" message="1 finding: Gateway web/old: two servers share a certificate">
high  istio/tls-server-overlap-e49d46d2  Gateway web/old: two servers share a certificate
  decide: Merge the servers, or give each host a certificate of its own
</failure>
    </testcase>
  </testsuite>
  <testsuite name="kong" timestamp="2026-11-21T12:00:00" tests="3" failures="1" errors="0" skipped="2">
    <testcase classname="gwdoctor.kong" name="kong/a-b">
      <skipped message="Namespace: may not be listed (403)">
not checked: Namespace: may not be listed (403) (kong/a-b)
not checked: a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
</skipped>
    </testcase>
    <testcase classname="gwdoctor.kong" name="kong/c-d">
      <skipped message="Namespace: may not be listed (403)">
not checked: Namespace: may not be listed (403) [Service minio/minio] (kong/c-d)
not checked: a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
</skipped>
    </testcase>
    <testcase classname="gwdoctor.kong" name="kong/upstream-protocol-missing">
      <failure type="critical" message="1 finding: Service minio/minio: Kong speaks plain HTTP to port 9000 (https)">
critical  kong/upstream-protocol-missing-47cc1e0a  Service minio/minio: Kong speaks plain HTTP to port 9000 (https)
  in shop/minio.yaml:7
  because: Ingress minio/minio /spec/rules/0
  because: Service minio/minio
  fix (review): Tell Kong that this backend speaks HTTPS
    # kubectl apply --server-side --force-conflicts --field-manager=gwdoctor-47cc1e0a -f -
    apiVersion: v1
    kind: Service
    metadata:
      name: minio
      namespace: minio
      annotations:
        konghq.com/protocol: https
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: 'y'
      namespace: minio
    data:
      'on': '1e3'
    kubectl delete gateway.networking.istio.io old -n web
    kubectl annotate service minio -n minio example.com/key-
</failure>
    </testcase>
  </testsuite>
  <testsuite name="tls" timestamp="2026-11-21T12:00:00" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="gwdoctor.tls" name="tls/certificate-expires-soon">
      <failure type="low" message="1 finding: GatewayClass kong: it is cluster-scoped">
low  tls/certificate-expires-soon-4d627eba  GatewayClass kong: it is cluster-scoped
  decide: Decide
</failure>
    </testcase>
  </testsuite>
</testsuites>
""")


def test_golden_github() -> None:
    assert written(full(), "github") == snapshot("""\
::error file=shop/minio.yaml,line=7,title=critical kong/upstream-protocol-missing-47cc1e0a::Service minio/minio: Kong speaks plain HTTP to port 9000 (https)%0Afix (review): Tell Kong that this backend speaks HTTPS
::error title=high istio/tls-server-overlap-e49d46d2::Gateway web/old: two servers share a certificate%0Adecide: Merge the servers, or give each host a certificate of its own
::notice title=low tls/certificate-expires-soon-4d627eba::GatewayClass kong: it is cluster-scoped%0Adecide: Decide
::warning title=gwdoctor%3A not checked::Namespace: may not be listed (403) [Service minio/minio] (kong/a-b, kong/c-d)%0Aa role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
::warning title=gwdoctor%3A not checked::a.yaml:3: is not valid YAML
gwdoctor: prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces: 3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not shown). 46 checks, 16400 objects, 1.4 s.
""")


def test_golden_markdown() -> None:
    assert written(full(), "markdown") == snapshot("""\
# 3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not shown). 46 checks, 16400 objects, 1.4 s.

gwdoctor, `prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces`

| Severity | Finding | Object | Message |
|---|---|---|---|
| critical | `kong/upstream-protocol-missing-47cc1e0a` | Service minio/minio | Kong speaks plain HTTP to port 9000 (https) |
| high | `istio/tls-server-overlap-e49d46d2` | Gateway web/old | two servers share a certificate |
| low | `tls/certificate-expires-soon-4d627eba` | GatewayClass kong | it is cluster-scoped |

## Findings

### `kong/upstream-protocol-missing-47cc1e0a`

**critical**, likely. Kong speaks plain HTTP to port 9000 (https)

- object: Service minio/minio /spec/ports/0
- file: shop/minio.yaml:7
- because: Ingress minio/minio /spec/rules/0
- because: Service minio/minio
- fix (review): Tell Kong that this backend speaks HTTPS

```yaml
# kubectl apply --server-side --force-conflicts --field-manager=gwdoctor-47cc1e0a -f -
apiVersion: v1
kind: Service
metadata:
  name: minio
  namespace: minio
  annotations:
    konghq.com/protocol: https
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: 'y'
  namespace: minio
data:
  'on': '1e3'
```

```sh
kubectl delete gateway.networking.istio.io old -n web
kubectl annotate service minio -n minio example.com/key-
```

### `istio/tls-server-overlap-e49d46d2`

**high**, likely. two servers share a certificate

- object: Gateway web/old
- decide: Merge the servers, or give each host a certificate of its own

### `tls/certificate-expires-soon-4d627eba`

**low**, likely. it is cluster-scoped

- object: GatewayClass kong
- decide: Decide

## Not checked

- Namespace: may not be listed (403) \\[Service minio/minio\\] (kong/a-b, kong/c-d); a role with this rule shows it: \\{apiGroups: \\[""\\], resources: \\["namespaces"\\], verbs: \\["get", "list"\\]\\}
- a.yaml:3: is not valid YAML

exit 1: 2 findings at or above high
""")


def test_golden_openmetrics() -> None:
    assert written(full(), "openmetrics") == snapshot("""\
# HELP gwdoctor_build_info Which gwdoctor made the report, and of what.
# TYPE gwdoctor_build_info gauge
gwdoctor_build_info{version="1.2.3",context="prod-eu1",server="https://10.0.0.1:6443"} 1
# HELP gwdoctor_findings_by_severity Findings of the last scan; every severity is there.
# TYPE gwdoctor_findings_by_severity gauge
gwdoctor_findings_by_severity{severity="critical"} 1
gwdoctor_findings_by_severity{severity="high"} 1
gwdoctor_findings_by_severity{severity="medium"} 0
gwdoctor_findings_by_severity{severity="low"} 1
# HELP gwdoctor_findings Findings of the last scan, of the checks that found something.
# TYPE gwdoctor_findings gauge
gwdoctor_findings{check="istio/tls-server-overlap",severity="high"} 1
gwdoctor_findings{check="kong/upstream-protocol-missing",severity="critical"} 1
gwdoctor_findings{check="tls/certificate-expires-soon",severity="low"} 1
# HELP gwdoctor_not_checked What a check could not look at: silence is not health.
# TYPE gwdoctor_not_checked gauge
gwdoctor_not_checked{check="input"} 1
gwdoctor_not_checked{check="kong/a-b"} 1
gwdoctor_not_checked{check="kong/c-d"} 1
# HELP gwdoctor_incomplete 1 if the deadline ended the last scan before everything was read.
# TYPE gwdoctor_incomplete gauge
gwdoctor_incomplete 0
# HELP gwdoctor_checks Checks that were run.
# TYPE gwdoctor_checks gauge
gwdoctor_checks 46
# HELP gwdoctor_objects Objects that were read.
# TYPE gwdoctor_objects gauge
gwdoctor_objects 16400
# HELP gwdoctor_scan_duration_seconds How long the last scan took; 0 where files were read.
# TYPE gwdoctor_scan_duration_seconds gauge
gwdoctor_scan_duration_seconds 1.42
# HELP gwdoctor_scan_timestamp_seconds When the cluster was seen, in seconds since 1970.
# TYPE gwdoctor_scan_timestamp_seconds gauge
gwdoctor_scan_timestamp_seconds 1795262400
# EOF
""")


def test_golden_jsonl() -> None:
    assert written(full(), "jsonl").splitlines()[2] == snapshot(
        '{"type":"finding","id":"istio/tls-server-overlap-e49d46d2","check":"istio/tls-server-overlap","severity":"high","confidence":"likely","title":"Kong speaks plain HTTP to a port that expects HTTPS","message":"two servers share a certificate","object":{"apiVersion":"networking.istio.io/v1beta1","kind":"Gateway","namespace":"web","name":"old"},"path":"","origin":null,"because":[],"evidence":[],"fix":null,"advice":"Merge the servers, or give each host a certificate of its own"}'
    )


def test_golden_sarif() -> None:
    log = json.loads(written(full(), "sarif"))
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        if rule["id"] in catalogue():
            rule.pop("help")
            rule.pop("fullDescription")

    assert log == snapshot(
        {
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "gwdoctor",
                            "version": "1.2.3",
                            "rules": [
                                {
                                    "id": "istio/tls-server-overlap",
                                    "name": "TlsServerOverlap",
                                    "shortDescription": {
                                        "text": "Browsers get 404 from a host after they have visited another one."
                                    },
                                    "defaultConfiguration": {"level": "error"},
                                    "properties": {
                                        "tags": ["kubernetes", "istio"],
                                        "precision": "high",
                                        "problem.severity": "error",
                                    },
                                },
                                {"id": "kong/a-b", "shortDescription": {"text": "kong/a-b"}},
                                {"id": "kong/c-d", "shortDescription": {"text": "kong/c-d"}},
                                {
                                    "id": "kong/upstream-protocol-missing",
                                    "name": "UpstreamProtocolMissing",
                                    "shortDescription": {
                                        "text": "Kong speaks plain HTTP to a backend that expects TLS."
                                    },
                                    "defaultConfiguration": {"level": "error"},
                                    "properties": {
                                        "tags": ["kubernetes", "kong"],
                                        "precision": "high",
                                        "problem.severity": "error",
                                    },
                                },
                                {
                                    "id": "tls/certificate-expires-soon",
                                    "name": "CertificateExpiresSoon",
                                    "shortDescription": {
                                        "text": "A certificate that is served expires within 14 days, and none renews it."
                                    },
                                    "defaultConfiguration": {"level": "error"},
                                    "properties": {
                                        "tags": ["kubernetes", "tls"],
                                        "precision": "very-high",
                                        "problem.severity": "error",
                                    },
                                },
                            ],
                        }
                    },
                    "automationDetails": {"id": "gwdoctor/prod-eu1/"},
                    "columnKind": "unicodeCodePoints",
                    "invocations": [
                        {
                            "executionSuccessful": True,
                            "exitCode": 1,
                            "exitCodeDescription": "2 findings at or above high",
                            "endTimeUtc": "2026-11-21T12:00:00Z",
                            "toolExecutionNotifications": [
                                {
                                    "level": "warning",
                                    "message": {
                                        "text": "not checked: Namespace: may not be listed (403)"
                                    },
                                    "associatedRule": {"id": "kong/a-b"},
                                    "properties": {
                                        "rbac": {
                                            "apiGroups": [""],
                                            "resources": ["namespaces"],
                                            "verbs": ["get", "list"],
                                        }
                                    },
                                },
                                {
                                    "level": "warning",
                                    "message": {
                                        "text": "not checked: Namespace: may not be listed (403)"
                                    },
                                    "associatedRule": {"id": "kong/c-d"},
                                    "locations": [
                                        {
                                            "logicalLocations": [
                                                {
                                                    "name": "minio",
                                                    "fullyQualifiedName": "Service/minio/minio",
                                                    "kind": "resource",
                                                }
                                            ]
                                        }
                                    ],
                                    "properties": {
                                        "rbac": {
                                            "apiGroups": [""],
                                            "resources": ["namespaces"],
                                            "verbs": ["get", "list"],
                                        }
                                    },
                                },
                                {
                                    "level": "warning",
                                    "message": {"text": "not checked: a.yaml:3: is not valid YAML"},
                                },
                            ],
                        }
                    ],
                    "results": [
                        {
                            "ruleId": "kong/upstream-protocol-missing",
                            "ruleIndex": 3,
                            "kind": "fail",
                            "level": "error",
                            "message": {
                                "text": """\
Service minio/minio: Kong speaks plain HTTP to port 9000 (https)
fix (review): Tell Kong that this backend speaks HTTPS\
"""
                            },
                            "locations": [
                                {
                                    "physicalLocation": {
                                        "artifactLocation": {"uri": "shop/minio.yaml"},
                                        "region": {"startLine": 7},
                                    },
                                    "logicalLocations": [
                                        {
                                            "name": "minio",
                                            "fullyQualifiedName": "Service/minio/minio",
                                            "kind": "resource",
                                        }
                                    ],
                                }
                            ],
                            "partialFingerprints": {
                                "gwdoctorFindingId/v1": "kong/upstream-protocol-missing-47cc1e0a",
                                "primaryLocationLineHash": "47cc1e0a:1",
                            },
                            "relatedLocations": [
                                {
                                    "id": 1,
                                    "message": {"text": "Ingress minio/minio /spec/rules/0"},
                                    "logicalLocations": [
                                        {
                                            "name": "minio",
                                            "fullyQualifiedName": "Ingress.networking.k8s.io/minio/minio",
                                            "kind": "resource",
                                        }
                                    ],
                                },
                                {
                                    "id": 2,
                                    "message": {"text": "Service minio/minio"},
                                    "logicalLocations": [
                                        {
                                            "name": "minio",
                                            "fullyQualifiedName": "Service/minio/minio",
                                            "kind": "resource",
                                        }
                                    ],
                                },
                            ],
                            "properties": {
                                "severity": "critical",
                                "confidence": "likely",
                                "path": "/spec/ports/0",
                                "evidence": [],
                                "fix": {
                                    "title": "Tell Kong that this backend speaks HTTPS",
                                    "disposition": "review",
                                    "manifests": [
                                        {
                                            "apiVersion": "v1",
                                            "kind": "Service",
                                            "metadata": {
                                                "name": "minio",
                                                "namespace": "minio",
                                                "annotations": {"konghq.com/protocol": "https"},
                                            },
                                        },
                                        {
                                            "apiVersion": "v1",
                                            "kind": "ConfigMap",
                                            "metadata": {"name": "y", "namespace": "minio"},
                                            "data": {"on": "1e3"},
                                        },
                                    ],
                                    "delete": [
                                        {
                                            "apiVersion": "networking.istio.io/v1beta1",
                                            "kind": "Gateway",
                                            "namespace": "web",
                                            "name": "old",
                                        }
                                    ],
                                    "commands": [
                                        "kubectl annotate service minio -n minio example.com/key-"
                                    ],
                                    "verified": None,
                                },
                                "advice": "",
                            },
                        },
                        {
                            "ruleId": "istio/tls-server-overlap",
                            "ruleIndex": 0,
                            "kind": "fail",
                            "level": "error",
                            "message": {
                                "text": """\
Gateway web/old: two servers share a certificate
decide: Merge the servers, or give each host a certificate of its own\
"""
                            },
                            "locations": [
                                {
                                    "physicalLocation": {
                                        "artifactLocation": {
                                            "uri": "prod-eu1/web/Gateway.networking.istio.io/old.yaml",
                                            "description": {
                                                "text": "Stands for an object of a cluster; there is no such file."
                                            },
                                        },
                                        "region": {"startLine": 1},
                                    },
                                    "logicalLocations": [
                                        {
                                            "name": "old",
                                            "fullyQualifiedName": "Gateway.networking.istio.io/web/old",
                                            "kind": "resource",
                                        }
                                    ],
                                }
                            ],
                            "partialFingerprints": {
                                "gwdoctorFindingId/v1": "istio/tls-server-overlap-e49d46d2",
                                "primaryLocationLineHash": "e49d46d2:1",
                            },
                            "properties": {
                                "severity": "high",
                                "confidence": "likely",
                                "path": "",
                                "evidence": [],
                                "fix": None,
                                "advice": "Merge the servers, or give each host a certificate of its own",
                            },
                        },
                        {
                            "ruleId": "tls/certificate-expires-soon",
                            "ruleIndex": 4,
                            "kind": "fail",
                            "level": "note",
                            "message": {
                                "text": """\
GatewayClass kong: it is cluster-scoped
decide: Decide\
"""
                            },
                            "locations": [
                                {
                                    "physicalLocation": {
                                        "artifactLocation": {
                                            "uri": "prod-eu1/cluster-scoped/GatewayClass.gateway.networking.k8s.io/kong.yaml",
                                            "description": {
                                                "text": "Stands for an object of a cluster; there is no such file."
                                            },
                                        },
                                        "region": {"startLine": 1},
                                    },
                                    "logicalLocations": [
                                        {
                                            "name": "kong",
                                            "fullyQualifiedName": "GatewayClass.gateway.networking.k8s.io/kong",
                                            "kind": "resource",
                                        }
                                    ],
                                }
                            ],
                            "partialFingerprints": {
                                "gwdoctorFindingId/v1": "tls/certificate-expires-soon-4d627eba",
                                "primaryLocationLineHash": "4d627eba:1",
                            },
                            "properties": {
                                "severity": "low",
                                "confidence": "likely",
                                "path": "",
                                "evidence": [],
                                "fix": None,
                                "advice": "Decide",
                            },
                        },
                    ],
                }
            ],
        }
    )
