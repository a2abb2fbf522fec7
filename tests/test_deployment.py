"""What is printed for a scheduled report: deploy/, `gwdoctor manifests` and `gwdoctor rbac`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import Here

from gwdoctor import deployment, docs, rights
from gwdoctor.catalogue import catalogue
from gwdoctor.delivery.destinations import parsed
from gwdoctor.drawing import Drawing
from gwdoctor.kinds import READINGS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROBES = list(catalogue().values())
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def printed(here: Here, *arguments: str) -> list[dict[str, Any]]:
    done = here("manifests", *arguments)
    assert done.code == 0, done.err
    return documents(done.out)


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (one for one in manifests if one["kind"] == kind)
    return found


# --- deploy/ and manifests ---------------------------------------------------------------------


def test_the_kustomize_base_is_what_manifests_prints(here: Here) -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    files = [documents((DEPLOY / name).read_text()) for name in kustomization["resources"]]

    assert [one for file in files for one in file] == printed(here)
    written = {file.name for file in docs.deployed()}
    assert written == {*kustomization["resources"], "kustomization.yaml"}


@needs_kubectl
def test_kubectl_builds_the_base(here: Here) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=True
    )

    def key(one: dict[str, Any]) -> tuple[str, str]:
        return one["kind"], one["metadata"]["name"]

    assert sorted(documents(done.stdout), key=key) == sorted(printed(here), key=key)


def test_only_get_and_list_are_asked_for_outside_of_reports() -> None:
    for secrets in rights.PROFILES:
        settings = deployment.Settings(secrets=secrets, secret_names=frozenset({("a", "b")}))
        for role in deployment.reading_and_writing(settings, PROBES):
            for rule in role["rules"]:
                is_report = rule.get("resourceNames") == ["gwdoctor-report"]
                assert is_report or set(rule["verbs"]) <= {"get", "list"}
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@pytest.mark.parametrize(("profile", "listed"), [("none", False), ("named", False), ("all", True)])
def test_secrets_are_listed_in_one_profile_only(profile: str, listed: bool) -> None:
    role = rights.cluster_role("gwdoctor", PROBES, profile)

    assert any("secrets" in rule["resources"] for rule in role["rules"]) is listed


def test_the_settings_arrive_where_they_count(here: Here) -> None:
    manifests = printed(
        here,
        *("-n", "edge-reports", "--schedule", "5 6 * * 1-5", "--time-zone", "Europe/Berlin"),
        *("--image", "registry.example.com/gwdoctor@sha256:ab", "--for", "kong,tls"),
        *("--api-server", "10.0.0.1:6443", "--api-server", "[fd00::1]:6443"),
        *("--report-to", "slack=env:SLACK_URL", "--report-to", "file=/reports/last.json"),
    )

    cron_job = of_kind(manifests, "CronJob")
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert cron_job["spec"]["schedule"] == "5 6 * * 1-5"
    assert cron_job["spec"]["timeZone"] == "Europe/Berlin"
    assert container["image"] == "registry.example.com/gwdoctor@sha256:ab"
    assert "--select=kong,tls" in container["args"]
    assert container["volumeMounts"] == [{"name": "reports", "mountPath": "/reports"}]
    assert of_kind(manifests, "PersistentVolumeClaim")["metadata"]["name"] == "gwdoctor-reports"
    assert {"name": "SLACK_URL", "valueFrom": {"secretKeyRef": {"name": "gwdoctor", "key": "SLACK_URL"}}} in container["env"]  # fmt: skip
    names = {one["metadata"].get("namespace") for one in manifests} - {None}
    assert names == {"edge-reports"}
    assert of_kind(manifests, "ClusterRole")["metadata"]["name"] == "gwdoctor-edge-reports"
    egress = of_kind(manifests, "NetworkPolicy")["spec"]["egress"]
    networks = [to["ipBlock"]["cidr"] for rule in egress for to in rule["to"] if "ipBlock" in to]
    assert networks[:2] == ["10.0.0.1/32", "fd00::1/128"]


def test_more_formats_go_to_the_volume_of_the_reports(here: Here) -> None:
    outputs = ("-o", "markdown=/reports/last.md", "-o", "openmetrics=/metrics/gwdoctor.prom")
    manifests = printed(here, *outputs)

    pod = of_kind(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "--output=markdown=/reports/last.md" in container["args"]
    assert "--output=jsonl" in container["args"]
    mounted = {(mount["name"], mount["mountPath"]) for mount in container["volumeMounts"]}
    assert mounted == {("reports", "/reports"), ("reports", "/metrics")}
    assert of_kind(manifests, "PersistentVolumeClaim")


def test_a_page_with_the_map_may_read_what_it_draws(here: Here) -> None:
    one = ("--for", "kong/upstream-protocol-missing")

    def resources(*more: str) -> set[str]:
        role = of_kind(printed(here, *one, *more), "ClusterRole")
        return {resource for rule in role["rules"] for resource in rule["resources"]}

    drawn = {READINGS[kind].plural for kind in Drawing.reads()} - {"secrets"}
    assert not drawn <= resources()
    assert drawn <= resources("-o", "html=/reports/last.html")
    assert resources("-o", "markdown=/reports/last.md") == resources()


def test_the_kubelet_looks_where_the_message_is(here: Here) -> None:
    manifests = printed(here, "--report-to", "termination=/tmp/said")

    pod = of_kind(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["terminationMessagePath"] == "/tmp/said"


def test_with_the_api_server_named_nothing_else_can_be_reached_but_dns(here: Here) -> None:
    policy = of_kind(printed(here, "--api-server", "10.0.0.1:6443"), "NetworkPolicy")

    api, dns = policy["spec"]["egress"]
    assert api == {
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
        "ports": [{"protocol": "TCP", "port": 6443}],
    }
    assert {port["port"] for port in dns["ports"]} == {53}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == []


def test_no_address_of_a_webhook_is_printed(here: Here) -> None:
    done = here("manifests", "--report-to", "webhook=https://u:p@h/x", "--report-to", "configmap")

    assert done.code == 2
    assert "env:GWDOCTOR_WEBHOOK_URL" in done.err
    assert not done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("manifests", "-n", "Not_A_Name"), "is no name of a namespace"),
        (("manifests", "--schedule", "every hour"), "write five fields"),
        (("manifests", "--schedule", "* * * * *; rm"), "write five fields"),
        (("manifests", "--time-zone", "Mars Phobos"), "is no time zone"),
        (("manifests", "--image", "a b"), "is no name of an image"),
        (("manifests", "--api-server", "10.0.0.1"), "write 10.0.0.1:6443"),
        (("manifests", "--for", "kng"), "--for: there is no check 'kng'. Did you mean 'kong'?"),
        (("manifests", "-o", "pdf=/reports/x"), "'pdf' is none of text, wide"),
        (("manifests", "-o", "json"), "names no file on a volume"),
        (("manifests", "-o", "json=last.json"), "names no file on a volume"),
        (("manifests", "-o", "json=/last.json"), "names no file on a volume"),
        (("manifests", "--report-to", "file=last.json"), "is no file on a volume"),
        (("manifests", "--secrets", "some"), "none of none, named, all"),
        (("manifests", "--report-to", "slack=env:X"), "nothing keeps that one"),
        (("manifests", "--report-to", "mail"), "is none of termination"),
        (("rbac", "--for", "nothing/at-all"), "there is no check"),
        (("rbac", "-f", "x.yaml"), "-f is for --secrets named"),
        (("rbac", "-n", "a", "-n", "b"), "one namespace"),
        (("rbac", "-o", "xml"), "none of yaml, json"),
    ],
)
def test_a_mistake_of_the_user(here: Here, arguments: tuple[str, ...], said: str) -> None:
    done = here(*arguments)

    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


# --- rbac --------------------------------------------------------------------------------------


def test_the_role_for_one_check_holds_what_that_check_declares(here: Here) -> None:
    done = here("rbac", "--for", "kong/upstream-protocol-missing")

    (role,) = documents(done.out)
    granted = {
        (g, r) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"]
    }
    declared = {
        (kind.group, READINGS[kind].plural)
        for kind in catalogue()["kong/upstream-protocol-missing"].reads()
    }
    assert granted == declared


def test_secrets_that_files_name(here: Here, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(
        """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {tls: [{secretName: shop-tls}, {secretName: gone}]}
"""
    )

    done = here("rbac", "--secrets", "named", "-f", str(tmp_path), "-o", "json")

    roles = {role["metadata"]["name"]: role for role in json.loads(done.out)["items"]}
    assert roles["gwdoctor-secrets"]["metadata"]["namespace"] == "shop"
    (rule,) = roles["gwdoctor-secrets"]["rules"]
    assert rule["resourceNames"] == ["gone", "shop-tls"]
    assert rule["verbs"] == ["get"]


def test_what_writes_reports_is_a_role_in_one_namespace() -> None:
    settings = deployment.Settings(report_to=parsed(["configmap=last", "openreports"]))
    role = deployment.reading_and_writing(settings, PROBES)[-1]

    assert role["kind"] == "Role"
    by_resource = {rule["resources"][0]: rule for rule in role["rules"]}
    assert by_resource["configmaps"]["resourceNames"] == ["last"]
    assert by_resource["cronjobs"] == {
        "apiGroups": ["batch"],
        "resources": ["cronjobs"],
        "resourceNames": ["gwdoctor"],
        "verbs": ["get"],
    }
    assert "secrets" not in by_resource


# --- the image ---------------------------------------------------------------------------------


def test_the_image_takes_locked_packages_and_runs_as_nobody() -> None:
    recipe = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()

    assert "--require-hashes" in recipe
    assert f"USER {deployment.USER}:{deployment.USER}" in recipe
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", recipe, re.M)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, f"{name} is not sent to the build"


def test_what_runs_is_asked_with_the_rights_for_it() -> None:
    settings = deployment.Settings(running=("logs", "port-forward"))
    probes = list(catalogue().values())

    asked = deployment.arguments(settings)
    wide = deployment.reading_and_writing(settings, probes)[0]

    assert {"--logs", "--probe=tls,backends", "--probe-via=port-forward"} <= set(asked)
    resources = [resource for rule in wide["rules"] for resource in rule["resources"]]
    assert {"pods/log", "pods/portforward"} <= set(resources)
    plain = deployment.reading_and_writing(deployment.Settings(), probes)[0]
    assert not [r for rule in plain["rules"] for r in rule["resources"] if "/" in r]
