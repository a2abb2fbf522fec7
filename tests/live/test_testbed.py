"""The test bed itself: what every other live test relies on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from testbed import Cluster, ControlPlane, Refused, crds, kubeconfig, launch
from testbed.client import Client

HACK = Path(crds.__file__).parents[1]

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: gwdoctor-test-apply}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
status:
  parents:
  - parentRef: {name: edge}
    controllerName: example.net/controller
    conditions:
    - {type: Accepted, status: "False", reason: NoMatchingParent, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}
"""


def test_it_is_ready_and_says_its_version(control_plane: ControlPlane) -> None:
    assert control_plane.client.request("GET", "/readyz").ok
    assert control_plane.request("GET", "/version")["gitVersion"].startswith("v1.")


def test_every_definition_is_there_and_its_kind_is_served(
    empty_control_plane: ControlPlane,
) -> None:
    served = empty_control_plane.items("apiextensions.k8s.io/v1", "CustomResourceDefinition")

    assert {each["metadata"]["name"] for each in served} == set(crds.definitions())
    for api_version, kind in (
        ("networking.istio.io/v1", "Gateway"),
        ("security.istio.io/v1", "PeerAuthentication"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("gateway.networking.k8s.io/v1", "BackendTLSPolicy"),
        ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy"),
        ("cert-manager.io/v1", "Certificate"),
        ("openreports.io/v1alpha1", "Report"),
    ):
        assert empty_control_plane.items(api_version, kind) == []


def test_kongs_definitions_are_thirteen_kinds_that_are_served(control_plane: ControlPlane) -> None:
    definitions = list(yaml.safe_load_all(crds.KONG.read_text()))

    for definition in definitions:
        version = f"{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}"
        assert control_plane.items(version, definition["spec"]["names"]["kind"]) == []
    assert len(definitions) == 13


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (
            "{apiVersion: configuration.konghq.com/v1, kind: KongConsumer, metadata: {name: x}}",
            "username and custom_id",
        ),
        (
            "{apiVersion: configuration.konghq.com/v1, kind: KongPlugin, metadata: {name: x}, "
            "plugin: cors, config: {a: 1}, configFrom: {secretKeyRef: {name: a, key: b}}}",
            "exclude each other",
        ),
        (
            "{apiVersion: configuration.konghq.com/v1, kind: KongIngress, metadata: {name: x}, "
            "proxy: {protocol: https}}",
            "annotate the Service",
        ),
        (
            "{apiVersion: configuration.konghq.com/v1beta1, kind: KongUpstreamPolicy, "
            "metadata: {name: x}, spec: {hashOn: {header: a, queryArg: b}, "
            "algorithm: consistent-hashing}}",
            "one source only",
        ),
    ],
)
def test_kongs_definitions_refuse_what_kong_refuses(
    empty_control_plane: ControlPlane, manifest: str, says: str
) -> None:
    with pytest.raises(Refused, match=says):
        empty_control_plane.apply(manifest)


def test_what_kongs_definitions_must_let_through(empty_control_plane: ControlPlane) -> None:
    plugin, consumer, *_ = empty_control_plane.apply("""
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: limit}
plugin: rate-limiting
config: {minute: 5, nested: {anything: [1, two]}}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: ann, annotations: {kubernetes.io/ingress.class: kong}}
username: ann
credentials: [ann-key]
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: sticky}
spec: {algorithm: consistent-hashing, hashOn: {header: x-user}, slots: 100}
---
apiVersion: configuration.konghq.com/v1beta1
kind: TCPIngress
metadata: {name: db}
spec:
  tls: [{hosts: [db.example.com], secretName: db}]
  rules: [{host: db.example.com, port: 5432, backend: {serviceName: db, servicePort: 5432}}]
""")

    assert plugin["config"]["nested"] == {"anything": [1, "two"]}
    assert consumer["status"]["conditions"][0]["reason"] == "Pending"


def test_apply_makes_the_namespace_and_writes_the_status(empty_control_plane: ControlPlane) -> None:
    (plain,) = empty_control_plane.apply(ROUTE)
    (with_status,) = empty_control_plane.apply(ROUTE, status=True)

    assert "parents" not in plain.get("status", {})
    assert with_status["status"]["parents"][0]["conditions"][0]["reason"] == "NoMatchingParent"
    assert with_status["spec"]["parentRefs"][0]["kind"] == "Gateway", "the server's defaults"


def test_apply_takes_files_folders_lists_and_dumps(
    empty_control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "first.yaml").write_text(ROUTE)
    (dumped,) = empty_control_plane.apply(tmp_path / "first.yaml")
    dump = {"apiVersion": "v1", "kind": "List", "items": [dumped]}
    (tmp_path / "second.yaml").write_text(json.dumps(dump))

    assert len(empty_control_plane.apply(tmp_path)) == 2


def test_a_broken_object_is_refused_in_the_servers_words(
    empty_control_plane: ControlPlane,
) -> None:
    gateway = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: eg
  listeners: [{name: https, port: 0, protocol: HTTPS}]
"""

    with pytest.raises(Refused, match=r"spec\.listeners\[0\]\.port") as refused:
        empty_control_plane.apply(gateway)

    assert refused.value.status == 422


@pytest.mark.parametrize(
    "manifest",
    [
        "{apiVersion: v1, kind: Service, metadata: {name: x}, "
        "spec: {ports: [{port: 80, appProtokol: http}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: x}, "
        "spec: {selektor: {istio: edge}}}",
    ],
)
def test_a_field_that_does_not_exist_is_refused(
    empty_control_plane: ControlPlane, manifest: str
) -> None:
    with pytest.raises(Refused, match=r"field not declared in schema|unknown field"):
        empty_control_plane.apply(manifest)


def test_a_kind_that_is_not_served_is_named(empty_control_plane: ControlPlane) -> None:
    with pytest.raises(LookupError, match="no Gatway of v9"):
        empty_control_plane.apply("{apiVersion: v9, kind: Gatway, metadata: {name: x}}")


def test_a_user_sees_what_rbac_lets_him_see(empty_control_plane: ControlPlane) -> None:
    alice = empty_control_plane.client_of("alice")
    path = "/api/v1/namespaces/gwdoctor-test-rbac/secrets"
    before = alice.request("GET", path)

    empty_control_plane.apply("""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads-secrets, namespace: gwdoctor-test-rbac}
rules: [{apiGroups: [""], resources: [secrets], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice, namespace: gwdoctor-test-rbac}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads-secrets}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
""")

    assert before.status == 403
    assert 'User "alice" cannot list resource "secrets"' in before.message
    assert _soon(lambda: alice.request("GET", path).ok)
    assert empty_control_plane.client_of("bob").request("GET", path).status == 403
    alice.close()


def test_nobody_gets_in_without_a_login(control_plane: ControlPlane) -> None:
    stranger = Client(control_plane.server, ca_file=control_plane.ca_file, token="wrong")

    assert stranger.request("GET", "/api/v1/secrets").status == 401
    stranger.close()


def test_a_certificate_is_a_login_as_well(control_plane: ControlPlane) -> None:
    client = Client(
        control_plane.server,
        ca_file=control_plane.ca_file,
        certificate=control_plane.certificate_of("carol"),
    )
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)

    assert answer.json()["status"]["userInfo"]["username"] == "carol"
    client.close()


def test_reset_takes_back_everything(empty_control_plane: ControlPlane) -> None:
    plane = empty_control_plane
    names = ("Namespace", "Service", "ConfigMap")
    before = {kind: plane.items("v1", kind) for kind in names}

    plane.apply(ROUTE)
    plane.apply(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, finalizers: [example.net/never]}}"
    )
    plane.apply("{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 1}]}}")
    plane.request("DELETE", "/api/v1/namespaces/gwdoctor-test-apply")
    plane.reset()

    assert {kind: plane.items("v1", kind) for kind in names} == before
    assert plane.items("gateway.networking.k8s.io/v1", "HTTPRoute") == []
    plane.apply(ROUTE)  # into a namespace that was Terminating a moment ago


def test_only_namespaces_of_tests_are_written_in_a_cluster_of_others(
    empty_control_plane: ControlPlane,
) -> None:
    theirs = kubeconfig.connect(empty_control_plane.kubeconfig)

    assert theirs.apply(ROUTE)
    for manifest in (
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: default}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}",
        "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: x}, "
        "spec: {controllerName: example.net/x}}",
    ):
        with pytest.raises(PermissionError, match="gwdoctor-test-"):
            theirs.apply(manifest)
    theirs.close()


def test_a_namespace_goes_with_all_that_is_in_it(cluster: Cluster) -> None:
    name = "gwdoctor-test-goes"
    cluster.apply(f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x, namespace: {name}}}}}")

    cluster.delete_namespaces([name])

    assert cluster.client.request("GET", f"/api/v1/namespaces/{name}").status == 404
    assert cluster.items("v1", "ConfigMap", name) == []


def test_a_namespace_goes_also_where_no_controller_runs(control_plane: ControlPlane) -> None:
    theirs = kubeconfig.connect(control_plane.kubeconfig)
    test_a_namespace_goes_with_all_that_is_in_it(theirs)
    theirs.close()


def test_the_kubeconfigs_are_good_for_kubectl(control_plane: ControlPlane) -> None:
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl on PATH")
    for user, allowed in (("admin", "yes"), ("alice", "no")):
        file = control_plane.kubeconfig_of(user)
        asked = subprocess.run(
            [kubectl, f"--kubeconfig={file}", "auth", "can-i", "list", "pods", "-A"],
            capture_output=True,
            text=True,
            check=False,
        )

        assert asked.stdout.strip() == allowed
        assert file.stat().st_mode & 0o077 == 0, "others can read the token"


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from testbed import ControlPlane\n"
        "plane = ControlPlane.start(pathlib.Path(sys.argv[1]))\n"
        "print(plane.server, flush=True); sys.stdin.read()"
    )
    folder = tmp_path / "control-plane"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        env=os.environ | {"PYTHONPATH": str(HACK)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        address = ("127.0.0.1", int(parent.stdout.readline().rsplit(":", 1)[1]))
        listening_before = _listens(address)
        parent.send_signal(signal.SIGKILL)

    assert listening_before
    assert _soon(lambda: not folder.exists())
    assert not _listens(address)


def test_a_port_that_is_taken_meanwhile_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    free_ports = launch.free_ports
    with socket.create_server(("127.0.0.1", 0)) as thief:
        answers = [[*free_ports(2), thief.getsockname()[1]]]
        monkeypatch.setattr(
            launch, "free_ports", lambda count: answers.pop() if answers else free_ports(count)
        )

        with ControlPlane.start() as another:
            assert another.client.request("GET", "/readyz").ok

    assert not answers
    assert not another.folder.exists()


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def _soon(happens: object, within: float = 10) -> bool:
    assert callable(happens)
    deadline = time.monotonic() + within
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
