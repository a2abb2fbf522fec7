"""The scheduled report on a real API server: as the ServiceAccount that its manifests make."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from commandline import Done, Here
from testbed import ControlPlane, FaultProxy, crds
from testbed.client import Client

from gwdoctor import deployment, rights
from gwdoctor.catalogue import catalogue
from gwdoctor.delivery.destinations import parsed
from gwdoctor.kinds import READINGS
from gwdoctor.source import access

Manifest = dict[str, Any]

HOME = "gwdoctor"
PROBES = rights.of_the_api(catalogue().values())
EVERYTHING = deployment.Settings(
    secrets="all",
    report_to=parsed(["termination", "configmap", "openreports"]),
)
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass
class Account:
    """The ServiceAccount of the CronJob, with a token of its own."""

    control_plane: ControlPlane
    client: Client

    def may(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        spec = {
            "resourceAttributes": {
                "group": group,
                "resource": resource,
                "verb": verb,
                "namespace": namespace,
                "name": name,
            }
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": spec,
        }
        return bool(self.client.request("POST", _REVIEW, review).json()["status"]["allowed"])

    def wait_until(self, allowed: bool, verb: str, group: str, resource: str, *where: str) -> None:
        """Until the authorizer has seen a change of the roles."""
        deadline = time.monotonic() + 10
        while self.may(verb, group, resource, *where) != allowed:
            assert time.monotonic() < deadline, f"{verb} {resource}: never {allowed}"
            time.sleep(0.02)


def apply(control_plane: ControlPlane, settings: deployment.Settings) -> list[Manifest]:
    made = deployment.objects(settings, PROBES)
    control_plane.apply(copy.deepcopy(made))
    return made


@pytest.fixture(scope="module")
def deployed(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane with all that `gwdoctor manifests` prints."""
    control_plane.forget()
    apply(control_plane, EVERYTHING)
    control_plane.remember()
    yield control_plane
    control_plane.forget()


@pytest.fixture(scope="module")
def policy_reports() -> dict[str, bytes]:
    """The older CRDs; found before a test changes the environment that Go is looked for in."""
    return crds.policy_report_definitions()


@pytest.fixture
def account(deployed: ControlPlane) -> Iterator[Account]:
    deployed.reset()
    path = f"/api/v1/namespaces/{HOME}/serviceaccounts/gwdoctor/token"
    question = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    token = deployed.client.request("POST", path, question).json()["status"]["token"]
    client = Client(deployed.server, ca_file=deployed.ca_file, token=token)
    made = Account(deployed, client)
    made.wait_until(True, "list", "", "services")
    (role,) = deployment.report_roles(EVERYTHING.report_to, HOME)
    for rule in role["rules"]:  # the test before may have taken some of them away
        for verb in rule["verbs"]:
            name = next(iter(rule.get("resourceNames", [""])))
            made.wait_until(True, verb, rule["apiGroups"][0], rule["resources"][0], HOME, name)
    yield made
    client.close()


@pytest.fixture
def in_the_pod(
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Done]:
    """Runs gwdoctor as the Pod would: service environment, token files, and no kubeconfig."""
    files = tmp_path / "serviceaccount"
    files.mkdir()
    (files / "token").write_text(account.client._headers["Authorization"].removeprefix("Bearer "))
    (files / "ca.crt").write_bytes((account.control_plane.folder / "ca.crt").read_bytes())
    (files / "namespace").write_text(HOME)
    server = urlsplit(account.control_plane.server)
    defaults: dict[str, Any] = {**(access.resolve.__kwdefaults__ or {}), "service_account": files}
    monkeypatch.setattr(access.resolve, "__kwdefaults__", defaults)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setenv("POD_NAMESPACE", HOME)
    monkeypatch.setenv("GWDOCTOR_CRONJOB", "gwdoctor")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    here = Here(capsys)

    def run(*arguments: str) -> Done:
        return here(*arguments)

    return run


# --- the manifests -----------------------------------------------------------------------------


def dry_run(control_plane: ControlPlane, manifest: Manifest) -> tuple[int, str]:
    """What the server says to an object, warnings of its admission included, without keeping it."""
    resource = control_plane.resource(manifest["apiVersion"], manifest["kind"])
    metadata = manifest["metadata"]
    path = resource.path(metadata.get("namespace"))
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    answer = control_plane.client.request("POST", path, manifest, query=query)
    return answer.status, answer.message if not answer.ok else ""


def pod_of(cron_job: Manifest) -> Manifest:
    """The Pod that the Job of a CronJob would make."""
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "run", "namespace": HOME},
        "spec": template["spec"],
    }


ALL_PLACES = parsed(
    [
        "termination",
        "configmap",
        "openreports=spread",
        "file=/reports/gwdoctor.json",
        "slack=env:GWDOCTOR_SLACK_URL",
        "teams=file:/etc/gwdoctor/teams",
        "pushgateway=env:GWDOCTOR_PUSHGATEWAY_URL",
    ]
)


@pytest.mark.parametrize(
    "settings",
    [
        deployment.Settings(),
        deployment.Settings(
            secrets="named",
            secret_names=frozenset({("default", "shop-tls")}),
            report_to=ALL_PLACES,
            api_servers=(("10.0.0.1/32", 6443),),
            time_zone="Europe/Berlin",
        ),
    ],
    ids=["plain", "everything"],
)
def test_the_server_takes_every_manifest_and_the_pod_under_restricted_admission(
    empty_control_plane: ControlPlane, settings: deployment.Settings
) -> None:
    made = deployment.objects(settings, PROBES)
    empty_control_plane.apply([made[0]])
    namespace = empty_control_plane.get("v1", "Namespace", HOME)
    (cron_job,) = (one for one in made if one["kind"] == "CronJob")

    said = {
        f"{one['kind']} {one['metadata']['name']}": dry_run(empty_control_plane, one)
        for one in [*made[1:], pod_of(cron_job)]
    }

    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert said == dict.fromkeys(said, (201, ""))


@pytest.mark.parametrize(
    "weaken",
    [
        lambda spec: spec["securityContext"].pop("seccompProfile"),
        lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"),
        lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
        lambda spec: spec["securityContext"].pop("runAsNonRoot"),
    ],
)
def test_the_admission_would_refuse_a_weaker_pod(
    empty_control_plane: ControlPlane, weaken: Callable[[Manifest], object]
) -> None:
    """Else the test above would show nothing."""
    made = deployment.objects(deployment.Settings(), PROBES)
    empty_control_plane.apply([made[0]])
    pod = copy.deepcopy(pod_of(made[-1]))
    weaken(pod["spec"])

    status, message = dry_run(empty_control_plane, pod)

    assert status == 403
    assert "violates PodSecurity" in message


def test_the_network_policy_can_be_narrowed_to_what_the_cluster_says(
    empty_control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Here(capsys)
    auto = ("manifests", "--api-server", "auto", "--kubeconfig")
    without = here(*auto, str(empty_control_plane.kubeconfig))
    empty_control_plane.apply(
        """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: default}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1]}, {addresses: [192.0.2.2]}]
ports: [{name: https, port: 6443, protocol: TCP}]
"""
    )
    found = here(*auto, str(empty_control_plane.kubeconfig))

    policy = next(one for one in yaml.safe_load_all(found.out) if one["kind"] == "NetworkPolicy")
    *servers, dns = policy["spec"]["egress"]
    reached = {(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in servers}
    assert without.code == 2
    assert "EndpointSlice default/kubernetes" in without.err
    assert reached == {("192.0.2.1/32", 6443), ("192.0.2.2/32", 6443), ("10.96.0.1/32", 443)}
    assert dns["ports"][0]["port"] == 53


# --- rights ------------------------------------------------------------------------------------


def test_the_account_may_do_what_its_roles_say_and_nothing_else(account: Account) -> None:
    """By the server's own list of its rules, without those that every account has."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": HOME},
    }
    told = account.client.request("POST", path, review).json()["status"]
    of_everybody = ("selfsubject", "selfsubjectreviews")

    got = {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in told["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if not resource.startswith(of_everybody)
    }

    roles = deployment.reading_and_writing(EVERYTHING, PROBES)
    granted = {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert not told["incomplete"]
    assert got == granted
    assert {verb for *_, verb, names in got if not names} - {"get", "list"} == {
        "create",
        "patch",
        "delete",
    }, "reports only"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/apis/apps/v1/deployments", None),
        ("GET", "/api/v1/nodes", None),
        ("GET", "/api/v1/namespaces/default/pods/x/log", None),
        ("GET", "/api/v1/services?watch=true", None),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles", None),
        ("DELETE", "/api/v1/namespaces/default/services/kubernetes", None),
        ("DELETE", f"/api/v1/namespaces/{HOME}/configmaps/gwdoctor-report", None),
        ("POST", f"/api/v1/namespaces/{HOME}/configmaps", {"metadata": {"name": "other"}}),
        ("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "x"}}),
        ("DELETE", "/apis/openreports.io/v1alpha1/namespaces/default/reports/x", None),
        ("GET", f"/apis/batch/v1/namespaces/{HOME}/cronjobs", None),
    ],
)
def test_everything_else_is_refused(
    account: Account, method: str, path: str, body: Manifest | None
) -> None:
    assert account.client.request(method, path, body).status == 403


def unread(done: Done) -> set[tuple[str, str]]:
    """The API groups and resources whose lack the report tells."""
    return {
        (rule["apiGroups"][0], rule["resources"][0])
        for skip in done.report["not_checked"]
        if (rule := skip["rbac"])
    }


def test_with_its_rights_the_pod_reads_everything(in_the_pod: Callable[..., Done]) -> None:
    done = in_the_pod("scan", "-A", "-o", "json")
    able = in_the_pod("rbac", "--check", "-o", "json")

    assert done.report["target"]["user"] == f"system:serviceaccount:{HOME}:gwdoctor"
    assert done.report["target"]["context"] == "in-cluster"
    assert unread(done) == set()
    assert able.code == 0
    assert {one["can"] for one in able.report["checks"]} == {"yes"}


def test_each_right_taken_away_is_told_as_its_gap_and_no_other(
    account: Account, in_the_pod: Callable[..., Done]
) -> None:
    """And `rbac --check` says the same of the checks as the scan does."""
    role = rights.cluster_role("gwdoctor", PROBES, "all")
    every = [(rule["apiGroups"][0], name) for rule in role["rules"] for name in rule["resources"]]
    wrong = {}
    for group, name in every:
        less = copy.deepcopy(role)
        for rule in less["rules"]:
            if rule["apiGroups"] == [group] and name in rule["resources"]:
                rule["resources"].remove(name)
        less["rules"] = [rule for rule in less["rules"] if rule["resources"]]
        account.control_plane.apply([less])
        account.wait_until(False, "list", group, name)
        done = in_the_pod("scan", "-A", "-o", "json", "--no-fixes")
        told = {skip["check"] for skip in done.report["not_checked"]}
        able = in_the_pod("rbac", "--check", "-o", "json")
        lacking = {one["check"] for one in able.report["checks"] if one["lacking"]}
        readers = {
            probe.id()
            for probe in PROBES
            if any((k.group, READINGS[k].plural) == (group, name) for k in probe.reads())
        }
        if unread(done) != {(group, name)} or lacking != readers or not told <= readers:
            wrong[group, name] = unread(done), told ^ readers
        account.control_plane.apply([role])
        account.wait_until(True, "list", group, name)

    assert len(every) > 40
    assert wrong == {}


def test_what_a_user_without_rights_could_run(
    deployed: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alice may read one kind, in one namespace."""
    deployed.reset()
    kubeconfig = ("--kubeconfig", str(deployed.kubeconfig_of("alice")))
    rule = {"apiGroups": ["networking.istio.io"], "resources": ["envoyfilters"]}
    role = rights.role("some", "default", [{**rule, "verbs": ["get", "list"]}])
    binding = rights.binding(role, "x", "y")
    user = {"apiGroup": rights.RBAC, "kind": "User", "name": "alice"}
    deployed.apply([role, {**binding, "subjects": [user]}])
    here = Here(capsys)
    one = ("rbac", "--check", "--for", "istio/annotation-does-not-exist", *kubeconfig)

    everywhere = here("rbac", "--check", *kubeconfig, "-o", "json")
    deadline = time.monotonic() + 10
    lua = ("rbac", "--check", "--for", CHECK, *kubeconfig, "-n", "default", "-o", "json")
    while "envoyfilters.networking.istio.io" in (inside := here(*lua)).report["lacking"]:
        assert time.monotonic() < deadline
    text = here(*one)

    assert everywhere.code == 3
    assert everywhere.report["user"] == "alice"
    assert {one["can"] for one in everywhere.report["checks"]} == {"no"}
    assert [one["can"] for one in inside.report["checks"]] == ["partly"]
    assert "alice could run: 1 no" in text.out
    assert "lacking: services (get, list)" in text.out
    assert "rbac --secrets all" in text.out


def test_without_secrets_the_named_ones_are_read_and_no_other(
    account: Account, in_the_pod: Callable[..., Done]
) -> None:
    """The profile in between: exactly the Secrets that Gateways name."""
    cluster = account.control_plane
    cluster.apply(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: any
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: a.example.com, tls: {certificateRefs: [{name: named}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: named, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: "", tls.key: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: other, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: "", tls.key: ""}
"""
    )
    printed = in_the_pod("rbac", "--secrets", "named", "-o", "json")
    roles = {role["metadata"]["name"]: role for role in json.loads(printed.out)["items"]}
    named = roles["gwdoctor-secrets"]
    everywhere = {resource for rule in roles["gwdoctor"]["rules"] for resource in rule["resources"]}

    cluster.apply([roles["gwdoctor"], named, rights.binding(named, "gwdoctor", HOME)])
    account.wait_until(False, "list", "", "secrets")

    done = in_the_pod("scan", "-A", "--select", "tls", "-o", "json")

    def read(name: str) -> int:
        return account.client.request("GET", f"/api/v1/namespaces/default/secrets/{name}").status

    assert printed.code == 0
    assert "secrets" not in everywhere
    assert named["metadata"]["namespace"] == "default"
    assert named["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["named"],
            "verbs": ["get"],
        }
    ]
    assert (read("named"), read("other")) == (200, 403)
    told = {f["object"]["name"] for f in done.report["findings"] if f["object"]["kind"] == "Secret"}
    assert told == {"named"}
    assert unread(done) == {("", "secrets")}, "that it may not list them is told all the same"


# --- reports -----------------------------------------------------------------------------------

CHECK = "istio/misdirected-lua-answers-every-request"
PLACES = ("--report-to", "configmap", "--report-to", "openreports")


def broken(*numbers: int) -> list[Manifest]:
    """EnvoyFilters with one finding each."""
    code = """function envoy_on_request(handle)
  local sni = handle:streamInfo().requestedServerName
  if sni ~= handle:headers():get(":authority") then
    handle:respond({[":status"] = "421"}, "")
  end
end
"""
    patch = {"value": {"typed_config": {"inlineCode": code}}}
    return [
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": f"filter-{number}", "namespace": "default"},
            "spec": {"configPatches": [{"applyTo": "HTTP_FILTER", "patch": patch}]},
        }
        for number in numbers
    ]


def mend(cluster: ControlPlane, *numbers: int) -> None:
    for number in numbers:
        root = "/apis/networking.istio.io/v1alpha3/namespaces/default/envoyfilters"
        assert cluster.client.request("DELETE", f"{root}/filter-{number}").ok


def reports(cluster: ControlPlane, api: str = "openreports.io/v1alpha1") -> dict[str, Manifest]:
    kind = "Report" if api.startswith("openreports") else "PolicyReport"
    return {one["metadata"]["name"]: one for one in cluster.items(api, kind, HOME)}


def results(cluster: ControlPlane) -> list[Manifest]:
    return [result for report in reports(cluster).values() for result in report["results"]]


def scan(run: Callable[..., Done], *arguments: str) -> Done:
    return run(
        "scan", "-A", "--select", CHECK, "--fail-on", "never", *(arguments or PLACES), "-o", "json"
    )


def test_two_runs_show_what_is_new_and_what_is_fixed(
    account: Account, in_the_pod: Callable[..., Done], tmp_path: Path
) -> None:
    cluster = account.control_plane
    log = tmp_path / "termination-log"
    places = (*PLACES, "--report-to", f"termination={log}", "--keep", "2")
    cluster.apply(broken(1, 2))
    first = scan(in_the_pod, *places, "--now", "2026-11-21T10:00:00Z")
    since = {r["properties"]["id"]: r["properties"]["firstSeen"] for r in results(cluster)}
    mend(cluster, 1)
    cluster.apply(broken(3))

    second = scan(in_the_pod, *places, "--now", "2026-11-21T11:00:00Z")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert set(since.values()) == {"2026-11-21T10:00:00Z"}
    assert "1 new, 1 fixed since 2026-11-21T10:00:00Z" in second.err
    assert "new critical" in log.read_text()
    assert "filter-3" in log.read_text()
    now = {r["resources"][0]["name"]: r["properties"]["firstSeen"] for r in results(cluster)}
    assert now == {"filter-2": "2026-11-21T10:00:00Z", "filter-3": "2026-11-21T11:00:00Z"}
    kept = cluster.get("v1", "ConfigMap", "gwdoctor-report", HOME)
    assert "1 new, 1 fixed" in kept["data"]["summary"]
    assert len([key for key in kept["binaryData"] if key.startswith("run-")]) == 2

    scan(in_the_pod, *places, "--now", "2026-11-21T12:00:00Z")

    kept = cluster.get("v1", "ConfigMap", "gwdoctor-report", HOME)
    assert sorted(key for key in kept["binaryData"] if key.startswith("run-")) == [
        "run-2026-11-21T110000Z.json.gz",
        "run-2026-11-21T120000Z.json.gz",
    ], "the oldest run is gone, and nothing else"


def test_the_command_line_of_the_cronjob_runs_as_it_stands_on_the_server(
    account: Account, in_the_pod: Callable[..., Done], tmp_path: Path
) -> None:
    """With the arguments and the environment of the real object, and 0 although there are findings."""
    cluster = account.control_plane
    cluster.apply(broken(1))
    cron_job = cluster.get("batch/v1", "CronJob", "gwdoctor", HOME)
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    log = tmp_path / "termination-log"
    arguments = [text.replace("/dev/termination-log", str(log)) for text in container["args"]]

    done = in_the_pod(*arguments)

    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert CHECK in done.out
    assert len(lines) > 1
    assert 0 < log.stat().st_size <= 4096
    assert CHECK in cluster.get("v1", "ConfigMap", "gwdoctor-report", HOME)["data"]["summary"]
    assert {e["name"] for e in container["env"]} == {"POD_NAMESPACE", "GWDOCTOR_CRONJOB"}


@pytest.mark.parametrize("place", ["configmap", "openreports", "file"])
def test_each_memory_alone_is_enough(
    account: Account, in_the_pod: Callable[..., Done], tmp_path: Path, place: str
) -> None:
    value = f"file={tmp_path}/report.json" if place == "file" else place
    account.control_plane.apply(broken(1))
    scan(in_the_pod, "--report-to", value, "--now", "2026-11-21T10:00:00Z")
    mend(account.control_plane, 1)

    again = scan(in_the_pod, "--report-to", value, "--now", "2026-11-21T11:00:00Z")
    third = scan(in_the_pod, "--report-to", value, "--now", "2026-11-21T12:00:00Z")

    assert "0 new, 1 fixed since 2026-11-21T10:00:00Z" in again.err
    assert "0 new, 0 fixed since 2026-11-21T11:00:00Z" in third.err


def test_reports_belong_to_the_cronjob_hold_250_results_and_are_pruned(
    account: Account, in_the_pod: Callable[..., Done]
) -> None:
    cluster = account.control_plane
    cluster.apply(broken(*range(255)))
    done = scan(in_the_pod)
    full = reports(cluster)
    mend(cluster, *range(10, 255))
    stranger = copy.deepcopy(full["gwdoctor.default.2"])
    stranger["metadata"] = {"name": "of-somebody-else", "namespace": HOME}
    cluster.apply([stranger])

    scan(in_the_pod)

    cron_job = cluster.get("batch/v1", "CronJob", "gwdoctor", HOME)
    assert done.code == 0, done.err
    sizes = {name: len(report["results"]) for name, report in full.items()}
    assert sizes == {"gwdoctor.1": 0, "gwdoctor.default.1": 250, "gwdoctor.default.2": 5}
    for report in full.values():
        (owner,) = report["metadata"]["ownerReferences"]
        assert owner["uid"] == cron_job["metadata"]["uid"]
    left = reports(cluster)
    assert set(left) == {"gwdoctor.1", "gwdoctor.default.1", "of-somebody-else"}
    assert left["gwdoctor.default.1"]["summary"]["fail"] == 10


def test_a_right_that_is_lost_does_not_look_like_health(
    account: Account, in_the_pod: Callable[..., Done]
) -> None:
    cluster = account.control_plane
    cluster.apply(broken(1))
    scan(in_the_pod)
    role = rights.cluster_role("gwdoctor", PROBES, "all")
    less = copy.deepcopy(role)
    for rule in less["rules"]:
        if "envoyfilters" in rule["resources"]:
            rule["resources"].remove("envoyfilters")
    cluster.apply([less])
    account.wait_until(False, "list", "networking.istio.io", "envoyfilters")

    blind = [scan(in_the_pod), scan(in_the_pod)]
    carried = [r for r in results(cluster) if r["properties"].get("object")]
    cluster.apply([role])
    account.wait_until(True, "list", "networking.istio.io", "envoyfilters")
    seeing = scan(in_the_pod)

    for done in blind:
        assert done.ids == []
        assert "0 fixed" in done.err
        assert "1 could not be looked at again" in done.err
    assert [(r["result"], r["properties"]["object"]) for r in carried] == [
        ("skip", "EnvoyFilter default/filter-1")
    ]
    assert len(seeing.ids) == 1
    assert "0 new, 0 fixed" in seeing.err


def test_what_was_read_till_the_deadline_is_delivered_and_nothing_is_called_fixed(
    empty_control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    """Writing has a deadline of its own."""
    here = Here(capsys)
    empty_control_plane.apply(broken(1))
    with FaultProxy(empty_control_plane).start() as proxy:
        kubeconfig = ("--kubeconfig", str(proxy.kubeconfig()), "--report-to", "configmap")
        whole = here("scan", "-A", "--select", CHECK, *kubeconfig, "-o", "json")
        proxy.delay("/envoyfilters", 20)
        cut = here("scan", "-A", "--select", CHECK, *kubeconfig, "--timeout", "3s", "-o", "json")

    kept = empty_control_plane.get("v1", "ConfigMap", "gwdoctor-report", "default")
    assert whole.ids == [CHECK]
    assert cut.code == 3
    assert cut.report["summary"]["incomplete"]
    assert "0 fixed" in kept["data"]["summary"]
    assert "1 could not be looked at again" in kept["data"]["summary"]
    assert "The deadline came first." in kept["data"]["summary"]


def test_a_server_that_fails_for_a_moment_gets_its_report_all_the_same(
    empty_control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultProxy(empty_control_plane).start() as proxy:
        proxy.fail("configmaps/gwdoctor-report", 503, times=2)
        flags = ("--kubeconfig", str(proxy.kubeconfig()), "--report-to", "configmap")
        done = Here(capsys)("scan", "-A", "--select", CHECK, *flags)

    assert done.code == 0, done.err
    assert empty_control_plane.get("v1", "ConfigMap", "gwdoctor-report", "default")


def test_without_the_right_to_write_the_run_says_so_and_fails(
    account: Account, in_the_pod: Callable[..., Done], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    root = "/apis/rbac.authorization.k8s.io/v1"
    path = f"{root}/namespaces/{HOME}/rolebindings/gwdoctor-reports"
    assert account.control_plane.client.request("DELETE", path).ok
    account.wait_until(False, "list", "openreports.io", "reports", HOME)

    done = scan(in_the_pod, *PLACES, "--report-to", f"termination={log}")

    assert done.code == 3
    assert "--report-to openreports: the server answers 403" in done.err
    assert log.read_text().startswith("gwdoctor: ")
    assert "Traceback" not in done.err


_OF_REPORTS = [
    (rule["resources"][0], verb)
    for rule in deployment.report_roles(EVERYTHING.report_to, HOME)[0]["rules"]
    for verb in rule["verbs"]
    if rule["resources"] != ["policyreports"]  # the older API is not in this cluster
]


@pytest.mark.parametrize(("resource", "verb"), _OF_REPORTS)
def test_no_right_to_write_reports_is_too_much(
    account: Account, in_the_pod: Callable[..., Done], resource: str, verb: str
) -> None:
    """Without it the report, its pruning or its owner is missing, and the run says so."""
    cluster = account.control_plane
    (role,) = deployment.report_roles(EVERYTHING.report_to, HOME)
    (rule,) = (rule for rule in role["rules"] if rule["resources"] == [resource])
    rule["verbs"].remove(verb)
    role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]
    cluster.apply([role])
    everywhere = rights.cluster_role("gwdoctor", PROBES, "all")
    for other in everywhere["rules"]:  # it reads ConfigMaps anyway, but that is another story
        if resource in other["resources"]:
            other["resources"].remove(resource)
    cluster.apply([everywhere])
    group, name = rule["apiGroups"][0], next(iter(rule.get("resourceNames", [""])))
    account.wait_until(False, verb, group, resource, HOME, name)

    cluster.apply(broken(1))
    first = scan(in_the_pod)
    mend(cluster, 1)
    second = scan(in_the_pod)

    if resource == "cronjobs":
        assert "the report has no owner: CronJob gwdoctor" in first.err
    else:
        assert 3 in (first.code, second.code)
        assert f'cannot {verb} resource "{resource}"' in first.err + second.err


def test_reports_can_stand_beside_what_they_are_about(
    account: Account, in_the_pod: Callable[..., Done]
) -> None:
    cluster = account.control_plane
    apply(cluster, deployment.Settings(secrets="all", report_to=parsed(["openreports=spread"])))
    account.wait_until(True, "patch", "openreports.io", "clusterreports")
    cluster.apply(broken(1))
    place = ("--report-to", "openreports=spread")
    first = scan(in_the_pod, *place)
    there = cluster.items("openreports.io/v1alpha1", "Report", "default")
    mend(cluster, 1)

    second = scan(in_the_pod, *place)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert [len(report["results"]) for report in there] == [1]
    assert cluster.items("openreports.io/v1alpha1", "Report", "default") == []
    heads = cluster.items("openreports.io/v1alpha1", "ClusterReport")
    assert [head["metadata"]["name"] for head in heads] == ["gwdoctor.1"]
    assert "0 new, 1 fixed" in second.err


def test_the_format_openreports_can_be_applied(
    empty_control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    made = list(yaml.safe_load_all(Here(capsys)("demo", "-o", "openreports").out))
    for namespace in {one["metadata"].get("namespace") for one in made} - {None}:
        empty_control_plane.create_namespace(str(namespace))

    said = {one["metadata"]["name"]: dry_run(empty_control_plane, one) for one in made}

    assert len(made) > 5
    assert said == dict.fromkeys(said, (201, ""))


def test_where_there_is_only_policyreport_that_is_written(
    policy_reports: dict[str, bytes], account: Account, in_the_pod: Callable[..., Done]
) -> None:
    cluster = account.control_plane
    cluster.define(policy_reports)
    root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for name in ("reports.openreports.io", "clusterreports.openreports.io"):
        assert cluster.client.request("DELETE", f"{root}/{name}").ok
    deadline = time.monotonic() + 30
    while cluster.client.request("GET", "/apis/openreports.io/v1alpha1").ok:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    cluster.apply(broken(1))
    place = ("--report-to", "openreports")

    first = scan(in_the_pod, *place)
    (result,) = reports(cluster, "wgpolicyk8s.io/v1alpha2")["gwdoctor.default.1"]["results"]
    mend(cluster, 1)
    second = scan(in_the_pod, *place)

    assert first.code == 0, first.err
    assert (result["policy"], result["result"], result["severity"]) == (CHECK, "fail", "critical")
    assert "0 new, 1 fixed" in second.err
    assert set(reports(cluster, "wgpolicyk8s.io/v1alpha2")) == {"gwdoctor.1"}
