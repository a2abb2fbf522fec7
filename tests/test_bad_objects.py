"""Bad objects of every kind through all checks, the proofs of the fixes, walks, and every rendering."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import badobjects
import htmltree
import msgspec
import pytest
import reports
import yaml
from commandline import Here
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from sarif_form import Sarif
from test_formats import COMMAND, CONTROL, STYLE

from gwdoctor import Cluster, Kind, changes
from gwdoctor.catalogue import catalogue
from gwdoctor.drawing import drawn
from gwdoctor.engine import scan
from gwdoctor.kinds import READINGS
from gwdoctor.model import Report
from gwdoctor.remedy import Budget, Prover, proven
from gwdoctor.render import fixes, machine, walk_document, walk_text
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.source import decode
from gwdoctor.walk import request, standing, walks

COLOURED = Style(end=STYLE.end, color=True, width=100)
PROBES = tuple(catalogue().values())


def judged(cluster: Cluster) -> Report:
    """What `scan` says of it, with proofs and the map."""
    report = scan(cluster, PROBES)
    report = proven(report, Prover(cluster, PROBES, report), Budget(objects=40))
    return drawn(report, cluster)


def assert_no_bug(report: Report) -> None:
    assert not [skip.reason for skip in report.skips if skip.is_bug]
    for finding in report.findings:
        assert (
            not finding.fix
            or not finding.fix.proof
            or not any("gwdoctor failed" in reason for reason in finding.fix.proof.unknown)
        )


def only_annotations(text: str) -> None:
    for line in text.splitlines():
        assert COMMAND.match(line) or not line.lstrip().startswith("::")
        assert "##[" not in line or COMMAND.match(line)


def no_markup(text: str) -> None:
    found = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {t.type for token in found for t in (token, *(token.children or ()))}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}


def one_page(text: str) -> None:
    tree = htmltree.parse(text)
    assert not tree.all("stray")
    assert all("onload" not in element.attributes for element in tree)


def metrics(text: str) -> None:
    read: Any = openmetrics  # it has no types
    assert list(read(text))


#: How each format is read by its readers; they raise where they cannot.
READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "yaml": lambda text: yaml.load(text, yaml.CSafeLoader),
    "html": one_page,
    "markdown": no_markup,
    "sarif": lambda text: msgspec.json.decode(text, type=Sarif),
    "junit": ElementTree.fromstring,
    "github": only_annotations,
    "csv": lambda text: list(csv.DictReader(io.StringIO(text), strict=True)),
    "openmetrics": metrics,
    "openreports": lambda text: list(yaml.load_all(text, yaml.CSafeLoader)),
}
FIXES: dict[str, Callable[[str], Any]] = {
    "yaml": lambda text: list(yaml.load_all(text, yaml.CSafeLoader)),
    "json": json.loads,
    "patch": json.loads,
    "kubectl": str,
}


def assert_readable(report: Report) -> None:
    """Every rendering, by its own reader, and without anything that a terminal would obey."""
    for name, form in FORMATS.items():
        text = form.render(report, STYLE)
        assert not CONTROL.search(text), name
        READERS.get(name, str)(text)
    for name in ("text", "wide"):
        assert FORMATS[name].render(report, COLOURED)
    cases = [fixes.Case(finding) for finding in report.findings]
    for name, reader in FIXES.items() if cases else ():
        text = fixes.render(cases, name)
        assert not CONTROL.search(text), name
        reader(text)
    assert not CONTROL.search(fixes.render(cases, "yaml", diff=True))


def assert_walked(cluster: Cluster, report: Report, host: str) -> None:
    """What `why` says of requests for a host, for people and for programs."""
    for url in (f"https://{host}/a?b=c", f"http://{host}"):
        try:
            asked = request.asked(url)
        except request.BadRequest:
            continue
        walk = walks.walk(asked, cluster)
        standing.attach(walk, report.findings)
        texts = [
            machine.as_json(walk_document.walk(walk, report.target, report.skips)),
            walk_text.render(
                walk, report.target, report.skips, STYLE.end, width=None, color=False, program="x"
            ),
        ]
        assert json.loads(texts[0])
        assert not [text for text in texts if CONTROL.search(text)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", READINGS, ids=lambda kind: f"{kind}{kind.facet}")
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a whole cluster is made smaller for minutes
    report_multiple_bugs=False,
)
@given(data=st.data())
def test_bad_objects_break_no_check_no_proof_and_no_rendering(
    kind: Kind, data: st.DataObject
) -> None:
    manifests = data.draw(badobjects.clusters(kind))
    started = time.process_time()

    cluster = badobjects.cluster_of(manifests)
    report = judged(cluster)

    assert_no_bug(report)
    assert_readable(report)
    assert_walked(cluster, report, data.draw(st.sampled_from(badobjects.hosts_in(manifests))))
    assert time.process_time() - started < 20, "something grows with the square of its input"


# --- commands --------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_name_runs_as_a_command(tmp_path: Path) -> None:
    """Every command of every check, run by a real shell in which each program only says its name."""
    names = {word for kind in READINGS for word in badobjects.object_names(kind)}
    lines: list[str] = []
    for scene in badobjects.every_scene():
        manifests = badobjects.renamed(
            scene, {name: f"{name}{badobjects.IN_A_SHELL}" for name in names}
        )
        report = scan(badobjects.cluster_of(manifests), PROBES)
        with_fix = [finding for finding in report.findings if finding.fix]
        assert_no_bug(report)
        lines += [line for f in with_fix if f.fix for line in changes.commands(f.fix)]
        lines += [fixes.render([fixes.Case(finding)], "kubectl") for finding in with_fix]
        lines += [f.fix.commands[0] for f in with_fix if f.fix and f.fix.commands]
    hostile = [line for line in lines if "stray" in line]
    kinds_of_command = {" ".join(line.split()[:3]) for line in hostile if line[0] != "#"}
    assert len(kinds_of_command) > 12, kinds_of_command
    script = tmp_path / "commands.sh"
    stubs = "".join(
        f"{program}() {{ cat >/dev/null <&0 || true; }}\n" for program in ("kubectl", "cmctl", "jq")
    )
    told = tmp_path / "told"
    script.write_text(
        f"exec </dev/null\n{stubs}date() {{ :; }}\nstray() {{ echo stray >>{told}; }}\n"
        f'command_not_found_handle() {{ echo "$1" >>{told}; }}\n' + "\n".join(hostile) + "\n"
    )

    done = subprocess.run(
        ["bash", "-eu", str(script)], capture_output=True, check=False, text=True, timeout=60
    )

    assert not told.exists(), told.read_text()
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["-", "--all", "-o=name"])
def test_a_name_that_would_be_an_option_is_no_name(name: str) -> None:
    """No API server holds such an object; a file may."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}

    with pytest.raises(decode.BadObject, match="begins with a dash"):
        list(decode.resources(service))
    cluster = badobjects.cluster_of([service])

    assert len(cluster) == 0
    assert [gap.reason for gap in cluster.gaps] == [
        "one cannot be read: metadata.name begins with a dash"
    ]


@pytest.mark.parametrize("text", reports.HOSTILES)
def test_hostile_names_in_files_are_read_or_told(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As YAML and JSON write them: with escapes, of which some are no text at all."""
    here = Here(capsys)
    for name, half in (("a.json", text + "\ud800"), ("b.json", text), ("c.yaml", text)):
        host = {"host": half, "http": {"paths": [{"path": half, "backend": {"service": half}}]}}
        ingress = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": half, "namespace": half, "annotations": {half: half}},
            "spec": {"ingressClassName": half, "rules": [host]},
        }
        (tmp_path / name).write_text(json.dumps(ingress))
    for arguments in (
        ("scan",),
        ("scan", "-o", "github"),
        ("why", "https://shop.example.com/"),
        ("fix", "--all", "--include-review"),
    ):
        done = here(*arguments, "-f", tmp_path)

        assert "Traceback" not in done.err
        assert not CONTROL.search(done.out), arguments
        assert not CONTROL.search(done.err), arguments
