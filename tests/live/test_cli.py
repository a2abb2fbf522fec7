"""The command line on the real API server."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commandline import BROKEN, CHECK, Done, program
from testbed import Cluster, ControlPlane, FaultProxy

from gwdoctor.render.formats import FORMATS

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")
ONLY = ("--select", CHECK)


@pytest.fixture
def filter_in(namespace: str, cluster: Cluster) -> str:
    """A namespace with one broken EnvoyFilter."""
    cluster.apply(BROKEN.replace("namespace: infra", f"namespace: {namespace}"))
    return namespace


def scan(cluster: Cluster, *arguments: str) -> Done:
    return program("scan", "--kubeconfig", cluster.kubeconfig, *arguments)


def without_seconds(report: dict[str, Any]) -> dict[str, Any]:
    return {**report, "summary": report["summary"] | {"seconds": None}}


def test_a_namespace_is_scanned_and_the_report_says_which(cluster: Cluster, filter_in: str) -> None:
    done = scan(cluster, *ONLY, "-n", filter_in, "-o", "json")

    assert done.code == 1
    assert done.ids == [CHECK]
    assert done.report["target"]["namespaces"] == [filter_in]
    assert done.report["target"]["server"] == cluster.server
    assert done.report["target"]["user"]
    assert done.report["summary"]["seconds"] > 0
    assert not done.err


def test_other_namespaces_are_not_reported_on(cluster: Cluster, filter_in: str) -> None:
    elsewhere = scan(cluster, *ONLY, "-n", "default", "-o", "json")
    everywhere = scan(cluster, *ONLY, "-A", "-o", "json")

    assert elsewhere.ids == []
    assert filter_in in {f["object"]["namespace"] for f in everywhere.report["findings"]}


def test_the_current_namespace_is_the_default(
    cluster: Cluster, filter_in: str, tmp_path: Path
) -> None:
    import yaml

    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = filter_in
    ours = tmp_path / "kubeconfig"
    ours.write_text(yaml.safe_dump(config))

    done = program("scan", *ONLY, "-o", "json", environment={"KUBECONFIG": str(ours)})

    assert done.report["target"]["namespaces"] == [filter_in]
    assert done.ids == [CHECK]


def test_a_snapshot_gives_the_report_of_the_cluster(
    cluster: Cluster, filter_in: str, tmp_path: Path
) -> None:
    """The same bytes, apart from the seconds that it took and the moment of the reading."""
    saved = tmp_path / "s.json.gz"
    now = ("--now", "2026-11-21T12:00:00Z")

    made = program(
        "snapshot", "--kubeconfig", cluster.kubeconfig, "-n", filter_in, "-o", saved, *now
    )
    live = scan(cluster, "-n", filter_in, "-o", "json", *now)
    again = program("scan", "--snapshot", saved, "-o", "json")

    assert made.code == 0, made.err
    assert without_seconds(again.report) == without_seconds(live.report)
    assert list(again.report) == list(live.report)
    assert again.report["summary"]["seconds"] == 0


def test_a_live_report_is_converted_into_what_the_scan_wrote(
    cluster: Cluster, filter_in: str, tmp_path: Path
) -> None:
    files = {form: tmp_path / form for form in FORMATS}
    asked = [argument for form, file in files.items() for argument in ("-o", f"{form}={file}")]

    done = scan(cluster, "-n", filter_in, *asked)

    assert done.code == 1, done.err
    report = json.loads(files["json"].read_text())
    assert report["summary"]["seconds"] > 0
    assert report["time"] == datetime.now(UTC).isoformat()[:10] + report["time"][10:]
    for form, file in files.items():
        for saved in ("json", "jsonl") if form not in ("json", "html") else ("json",):
            converted = program("convert", files[saved], "-o", form)
            assert (converted.code, converted.out) == (1, file.read_text(encoding="utf-8")), saved


@needs_kubectl
def test_kubectl_finds_its_plugin(cluster: Cluster, filter_in: str, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-gwdoctor"
    plugin.symlink_to(Path(sys.executable).with_name("kubectl-gwdoctor"))
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    flags = ("-n", filter_in, "--kubeconfig", str(cluster.kubeconfig))

    done = subprocess.run(
        ["kubectl", "gwdoctor", "scan", *ONLY, "-o=json", *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert [f["check"] for f in json.loads(done.stdout)["findings"]] == [CHECK]


@pytest.fixture
def fixed_by_the_printed_line(cluster: Cluster, filter_in: str, tmp_path: Path) -> tuple[str, str]:
    """The namespace and the line, after the YAML of the text report was given to it."""
    lines = scan(cluster, *ONLY, "-n", filter_in).out.splitlines()
    start = next(n for n, line in enumerate(lines) if "# kubectl apply" in line)
    command = lines[start].strip().removeprefix("# ")
    end = next(n for n, line in enumerate(lines) if n > start and not line.startswith("    "))
    manifest = "\n".join(line.removeprefix("    ") for line in lines[start + 1 : end])
    subprocess.run(
        [*command.split(), "--kubeconfig", str(cluster.kubeconfig)],
        input=manifest,
        text=True,
        check=True,
        capture_output=True,
    )
    return filter_in, command


@needs_kubectl
def test_the_yaml_of_the_report_cures_when_it_is_applied_as_the_report_says(
    cluster: Cluster, fixed_by_the_printed_line: tuple[str, str]
) -> None:
    namespace, command = fixed_by_the_printed_line

    after = cluster.get("networking.istio.io/v1alpha3", "EnvoyFilter", "misdirected", namespace)
    assert scan(cluster, *ONLY, "-n", namespace, "-o", "json").ids == []
    assert "--field-manager=gwdoctor-" in command
    assert after["metadata"]["labels"] == {"app": "edge", "tier": "web"}, "nothing else is lost"


def test_a_user_without_rights_is_told_which_rule_is_lacking(
    control_plane: ControlPlane, namespace: str
) -> None:
    kubeconfig = control_plane.kubeconfig_of("alice")

    done = program("scan", "--kubeconfig", kubeconfig, "-A", *ONLY, "-o", "json")
    text = program("scan", "--kubeconfig", kubeconfig, "-A", *ONLY)

    assert done.ids == []
    rules = [skip["rbac"] for skip in done.report["not_checked"]]
    assert {
        "apiGroups": ["networking.istio.io"],
        "resources": ["envoyfilters"],
        "verbs": ["get", "list"],
    } in rules
    assert "No problem found in what could be checked" in text.out
    assert 'resources: ["envoyfilters"]' in text.out


def test_the_deadline_ends_the_run_and_is_told(cluster: Cluster) -> None:
    done = scan(cluster, "-A", "--timeout", "1ms", "-o", "json")

    assert done.code in (3, 4)
    assert "--timeout" in done.err or done.report["summary"]["incomplete"]


def test_what_was_read_before_the_deadline_is_still_checked(
    control_plane: ControlPlane, filter_in: str
) -> None:
    with FaultProxy(control_plane).start() as proxy:
        proxy.delay("/services", 60, times=None)
        kubeconfig = proxy.kubeconfig()
        done = program(
            "scan", "--kubeconfig", kubeconfig, "-n", filter_in, "--timeout", "5s", "-o", "json"
        )

    assert CHECK in [finding["check"] for finding in done.report["findings"]]
    assert done.report["summary"]["incomplete"]
    assert "Service" in str(done.report["not_checked"])


@needs_kubectl
def test_what_apply_would_leave_there_is_patched_by_the_printed_line(
    cluster: Cluster, namespace: str
) -> None:
    """A backend by name becomes one by number: applied, both would stand, which is refused."""
    cluster.apply(
        f"""
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: {namespace}}}
spec:
  ports: [{{port: 8000}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop, namespace: {namespace}}}
spec:
  ingressClassName: nginx
  defaultBackend: {{service: {{name: shop, port: {{name: web}}}}}}
"""
    )
    check = ("--select", "ingress/backend-port-missing", "-n", namespace)

    found = scan(cluster, *check, "-o", "json").report["findings"]
    (finding,) = found
    (command,) = finding["fix"]["commands"]
    kubeconfig = ("--kubeconfig", cluster.kubeconfig, "-n", namespace)
    asked = program("fix", finding["id"], *kubeconfig, "--dry-run=server", "-o", "json")
    (told,) = json.loads(asked.out)
    assert [answer["refusal"] for answer in told["server"]] == [""]
    subprocess.run(
        [*shlex.split(command), "--kubeconfig", str(cluster.kubeconfig)],
        check=True,
        capture_output=True,
    )

    assert finding["fix"]["manifests"] == []
    assert scan(cluster, *check, "-o", "json").ids == []
    ingress = cluster.get("networking.k8s.io/v1", "Ingress", "shop", namespace)
    assert ingress["spec"]["defaultBackend"]["service"]["port"] == {"number": 8000}
