"""The live source on a real API server: all that is there is read, or a gap says what is not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import reading_scene as scene
from reading_scene import FIRST, LISTED, SECOND, read, reader, refs
from testbed import ControlPlane, FaultProxy

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind, Ref
from gwdoctor.source.access import Flags
from gwdoctor.source.batch import NoCluster, Want
from gwdoctor.source.live import connect


def there(cluster: ControlPlane, kind: Kind) -> set[tuple[str, str]]:
    """Namespace and name of every object of a kind, as the server tells somebody else."""
    reading = READINGS[kind]
    api_version = f"{kind.group}/{reading.versions[0]}" if kind.group else reading.versions[0]
    return {
        (item["metadata"].get("namespace", ""), item["metadata"]["name"])
        for item in cluster.items(api_version, kind.name)
        if kind != kinds.SECRET or item["type"] == "kubernetes.io/tls"
        if kind != kinds.EVENT
    }


@pytest.mark.parametrize("chunk_size", [500, 5, 0])
def test_everything_that_is_there_is_read(filled: ControlPlane, chunk_size: int) -> None:
    batch = read(filled.kubeconfig, chunk_size=chunk_size)

    assert batch.gaps == ()
    assert not batch.incomplete
    assert not batch.missing_kinds
    found: dict[Kind, set[tuple[str, str]]] = {kind: set() for kind in LISTED}
    for resource in batch.resources:
        if resource.ref.kind != kinds.EVENT:  # the server writes some by itself, when it likes
            found[resource.ref.kind].add((resource.namespace, resource.name))
    assert found == {kind: there(filled, kind) for kind in LISTED}
    assert len(found[kinds.SERVICE]) >= scene.SERVICES


def test_objects_read_are_objects_served(proxy: FaultProxy) -> None:
    batch = read(proxy.kubeconfig(), chunk_size=5)

    assert len(batch.resources) == proxy.items_served("^/apis?/")
    assert proxy.count("/api/v1/services.*continue=") == -(-(scene.SERVICES + 1) // 5) - 1


def test_no_connection_changes_what_another_begins_with(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads in one context, one of which writes to it: now and then a handshake is garbage."""
    begun, written = [], []
    begin, write = ssl.SSLContext.wrap_socket, ssl.SSLContext.set_alpn_protocols

    def wrap_socket(context: ssl.SSLContext, *of: Any, **how: Any) -> ssl.SSLSocket:
        begun.append((context, how.get("server_side", False)))
        return begin(context, *of, **how)

    def set_alpn_protocols(context: ssl.SSLContext, names: list[str]) -> None:
        written.append((context, names))
        write(context, names)

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap_socket)
    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", set_alpn_protocols)
    read(proxy.kubeconfig(), connections=4)

    ((shared, names),) = [each for each in written if (each[0], False) in begun]
    assert names == ["http/1.1"]
    assert begun.count((shared, False)) > 1


def test_only_what_the_views_keep_is_asked_for(proxy: FaultProxy) -> None:
    read(proxy.kubeconfig())

    asked = {each.path: each for each in proxy.requests if each.method == "GET"}
    assert "fieldSelector=type%3Dkubernetes.io%2Ftls" in asked["/api/v1/secrets"].query
    assert "PartialObjectMetadataList" in asked["/api/v1/pods"].headers["Accept"]
    assert "PartialObjectMetadataList" not in asked["/api/v1/services"].headers["Accept"]
    assert not [path for path in asked if path.endswith("/configmaps")]


def test_no_secret_is_kept(filled: ControlPlane) -> None:
    with reader(filled.kubeconfig) as live:
        batch = live.list([kinds.SECRET, kinds.POD])
        batch = batch.plus(
            live.fetch(
                [
                    Want(kinds.SECRET, FIRST, "opaque"),
                    Want(kinds.SECRET, FIRST, "serving"),
                    Want(kinds.POD_WHOLE, FIRST, "web"),
                ]
            )
        )
    kept = b"".join(msgspec.json.encode(resource.value) for resource in batch.resources)

    assert {Ref(kinds.SECRET, FIRST, "opaque"), Ref(kinds.POD_WHOLE, FIRST, "web")} <= {
        resource.ref for resource in batch.resources
    }
    assert b"hunter2" not in kept
    for secret in filled.items("v1", "Secret", FIRST):
        for name, value in secret["data"].items():
            if name != "tls.crt":
                assert value.encode() not in kept
                assert value[4:44].encode() not in kept


def test_progress_is_told(filled: ControlPlane) -> None:
    told: list[tuple[Kind, int, int, bool]] = []

    read(
        filled.kubeconfig,
        [kinds.SERVICE, kinds.INGRESS],
        chunk_size=10,
        progress=lambda *now: told.append(now),
    )

    services = [now for now in told if now[0] == kinds.SERVICE]
    assert len(services) == 3
    assert [done for *_, done in services] == [False, False, True]
    assert services[-1][1] == scene.SERVICES + 1
    assert services[-1][2] > services[0][2] > 0
    assert [now for now in told if now[0] == kinds.INGRESS][-1][1:2] == (0,)


def test_no_thread_stays(filled: ControlPlane) -> None:
    before = threading.active_count()

    read(filled.kubeconfig, chunk_size=5)

    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread"):
            thread.join(2)
    assert threading.active_count() <= before


# --- single objects ----------------------------------------------------------------------


def test_fetch_tells_present_from_absent(filled: ControlPlane) -> None:
    with reader(filled.kubeconfig) as live:
        batch = live.fetch(
            [
                Want(kinds.CONFIG_MAP, FIRST, "settings"),
                Want(kinds.CONFIG_MAP, FIRST, "nowhere"),
                Want(kinds.CONFIG_MAP, "no-such-namespace", "settings"),
                Want(kinds.POD_WHOLE, labels="app=web"),
                Want(kinds.SERVICE, SECOND),
            ]
        )

    assert batch.gaps == ()
    assert batch.absent == {
        Ref(kinds.CONFIG_MAP, FIRST, "nowhere"),
        Ref(kinds.CONFIG_MAP, "no-such-namespace", "settings"),
    }
    assert batch.listed == {(kinds.SERVICE, SECOND)}
    found = {resource.ref for resource in batch.resources}
    assert Ref(kinds.CONFIG_MAP, FIRST, "settings") in found
    assert {Ref(kinds.POD_WHOLE, FIRST, "web"), Ref(kinds.POD_WHOLE, SECOND, "web")} <= found
    assert refs(batch, kinds.SERVICE) == {
        ref for ref in scene.all_services() if ref.namespace == SECOND
    }


@pytest.mark.parametrize("name", ["..", ".", "../../configmaps/settings", "a%2Fb", "a?b=c", "ü b"])
def test_what_stands_where_a_name_should_leads_nowhere_else(proxy: FaultProxy, name: str) -> None:
    wants = [Want(kinds.SECRET, FIRST, name), Want(kinds.SECRET, name, "serving")]

    with reader(proxy.kubeconfig()) as live:
        proxy.clear()
        batch = live.fetch(wants)

    assert batch.resources == batch.gaps == ()
    assert batch.absent == {Ref(want.kind, want.namespace, want.name) for want in wants}
    for exchange in proxy.requests:
        assert exchange.path.startswith("/api/v1/namespaces/")
        assert exchange.path.count("/") == 6
        assert exchange.query == ""


# --- rights ------------------------------------------------------------------------------


def grant(filled: ControlPlane, rules: list[dict[str, Any]], namespace: str = "") -> None:
    """Let alice do this, in one namespace or everywhere, and nothing else."""
    prefix = "" if namespace else "Cluster"
    place = {"namespace": namespace} if namespace else {}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "alice", **place}}
    subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": f"{prefix}Role", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    filled.apply(
        [
            {**head, "kind": f"{prefix}Role", "rules": rules},
            {**head, "kind": f"{prefix}RoleBinding", "subjects": [subject], "roleRef": role},
        ]
    )


@pytest.fixture
def rights(filled: ControlPlane) -> Iterator[ControlPlane]:
    """The filled control plane; what is granted in a test ends with it."""
    filled.remember()
    yield filled
    filled.reset()


def test_who_may_nothing_gets_a_gap_for_every_kind(filled: ControlPlane) -> None:
    batch = read(filled.kubeconfig_of("alice"))

    assert batch.resources == ()
    assert {gap.kind for gap in batch.gaps} == LISTED
    assert all(gap.claimed and gap.rbac for gap in batch.gaps)
    assert batch.target is not None
    assert batch.target.user == "alice"


def test_the_rule_that_a_gap_names_closes_it(rights: ControlPlane) -> None:
    before = read(rights.kubeconfig_of("alice"))
    rules = [dict(gap.rbac) for gap in before.gaps if gap.rbac]

    grant(rights, rules)
    after = read(rights.kubeconfig_of("alice"))

    assert after.gaps == ()
    assert refs(after, kinds.SERVICE) == scene.all_services()


def test_one_kind_that_is_forbidden_does_not_hide_the_others(rights: ControlPlane) -> None:
    grant(rights, [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}])

    batch = read(rights.kubeconfig_of("alice"))

    assert refs(batch, kinds.SERVICE) == scene.all_services()
    assert {gap.kind for gap in batch.gaps} == LISTED - {kinds.SERVICE}


def test_a_single_object_that_is_forbidden(rights: ControlPlane) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    grant(rights, [{**rule, "resourceNames": ["opaque"]}], FIRST)

    with reader(rights.kubeconfig_of("alice")) as live:
        batch = live.fetch([Want(kinds.SECRET, FIRST, n) for n in ("opaque", "serving")])

    assert [resource.name for resource in batch.resources] == ["opaque"]
    (gap,) = batch.gaps
    assert (gap.namespace, gap.name, gap.rbac) == (FIRST, "serving", rule)
    assert batch.absent == frozenset()


def test_refusals_of_single_objects_are_not_asked_for_over_and_over(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    wants = [Want(kinds.SECRET, FIRST, f"name-{number}") for number in range(50)]

    with reader(proxy.kubeconfig("alice")) as live:
        batch = live.fetch(wants)

    assert {gap.name for gap in batch.gaps} == {want.name for want in wants}
    assert proxy.count("/secrets/") < 10


# --- namespaces --------------------------------------------------------------------------


def test_rights_in_one_namespace_are_enough_for_a_scan_of_it(rights: ControlPlane) -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    grant(rights, everything, FIRST)

    batch = read(rights.kubeconfig_of("alice"), namespaces=[FIRST])

    assert refs(batch, kinds.SERVICE) == {
        ref for ref in scene.all_services() if ref.namespace == FIRST
    }
    assert {gap.kind for gap in batch.gaps} == {
        kind for kind in LISTED if not READINGS[kind].namespaced
    }
    assert batch.namespaces == frozenset({FIRST})
    assert Ref(kinds.NAMESPACE, "", FIRST) in {resource.ref for resource in batch.resources}


def test_several_namespaces_of_which_one_is_forbidden(rights: ControlPlane) -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    grant(rights, everything, FIRST)

    batch = read(rights.kubeconfig_of("alice"), [kinds.SERVICE], namespaces=[SECOND, FIRST])

    (gap,) = batch.gaps
    assert (gap.kind, gap.namespace) == (kinds.SERVICE, SECOND)
    assert batch.target is not None
    assert batch.target.namespaces == (FIRST, SECOND)


def test_what_lies_outside_is_no_gap_of_the_scan(rights: ControlPlane) -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    grant(rights, everything, FIRST)

    with reader(rights.kubeconfig_of("alice"), namespaces=[FIRST]) as live:
        wide = live.fetch([Want(kinds.POD, labels="app=web")])
        outside = live.fetch([Want(kinds.SERVICE, SECOND)])

    assert [resource.ref for resource in wide.resources] == [Ref(kinds.POD, FIRST, "web")]
    assert wide.gaps == ()  # beyond the namespace nothing is claimed to be read anyway
    (gap,) = outside.gaps
    assert (gap.namespace, gap.claimed) == (SECOND, False)
    assert outside.listed == frozenset()


def test_the_namespace_of_the_context_is_the_default(filled: ControlPlane) -> None:
    batch = read(filled.kubeconfig, [kinds.SERVICE], namespaces=())

    assert batch.namespaces == frozenset({"default"})
    assert {resource.namespace for resource in batch.resources} == {"default"}


def test_a_namespace_that_does_not_exist_is_no_healthy_one(filled: ControlPlane) -> None:
    with pytest.raises(NoCluster, match="namespace 'typo' does not exist in https://127"):
        reader(filled.kubeconfig, namespaces=[FIRST, "typo"])
    with pytest.raises(NoCluster, match=r"'\.\.' is no name of a namespace"):
        reader(filled.kubeconfig, namespaces=[".."])


# --- who we are --------------------------------------------------------------------------


def test_impersonation_is_told(filled: ControlPlane) -> None:
    flags = Flags(kubeconfig=str(filled.kubeconfig), as_user="carol", as_groups=("system:masters",))

    with connect(flags, namespaces=None) as live:
        assert live.target.user == "carol"
        assert live.list([kinds.SERVICE]).gaps == ()


def test_a_client_certificate(filled: ControlPlane) -> None:
    certificate, key = filled.certificate_of("alice")
    flags = Flags(
        server=filled.server,
        certificate_authority=str(filled.ca_file),
        client_certificate=str(certificate),
        client_key=str(key),
        kubeconfig=str(empty(filled)),
    )

    with connect(flags, namespaces=None) as live:
        assert live.target.user == "alice"


def empty(filled: ControlPlane) -> Any:
    """A kubeconfig without anything in it."""
    path = filled.folder / "empty.kubeconfig"
    path.write_text("")
    return path


# --- what the server serves --------------------------------------------------------------


def test_an_old_server_without_aggregated_discovery(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    for root in ("/api", "/apis"):
        plain = filled.client.request("GET", root).body
        proxy.fail(rf"^{root}$", status=200, times=None, body=plain)

    batch = read(proxy.kubeconfig())

    assert batch.gaps == ()
    assert not batch.missing_kinds
    assert len(batch.resources) == len(read(filled.kubeconfig).resources)


def aggregated(filled: ControlPlane) -> dict[str, Any]:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    pool = filled.client._pool
    answer = pool.request(
        "GET",
        f"{filled.server}/apis",
        headers={"Authorization": f"Bearer {filled.token()}", "Accept": accept},
    )
    document: dict[str, Any] = json.loads(answer.data)
    return document


def test_kinds_that_are_not_installed_are_missing_not_hidden(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    document = aggregated(filled)
    document["items"] = [
        group for group in document["items"] if "istio.io" not in group["metadata"]["name"]
    ]
    proxy.fail("^/apis$", status=200, times=None, body=json.dumps(document).encode())

    batch = read(proxy.kubeconfig())

    assert batch.gaps == ()
    assert batch.missing_kinds == {kind for kind in LISTED if "istio.io" in kind.group}
    assert proxy.count("istio.io") == 0


def test_a_dead_server_behind_an_api_group_hides_the_kinds_of_that_group_only(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    document = aggregated(filled)
    for group in document["items"]:
        if group["metadata"]["name"] == "cert-manager.io":
            group["versions"] = [{"version": "v1", "freshness": "Stale", "resources": []}]
    proxy.fail("^/apis$", status=200, times=None, body=json.dumps(document).encode())

    batch = read(proxy.kubeconfig())

    assert {gap.kind for gap in batch.gaps} == {
        kind for kind in LISTED if kind.group == "cert-manager.io"
    }
    assert "behind the API group cert-manager.io" in batch.gaps[0].reason
    assert not batch.missing_kinds


def test_a_real_api_service_that_is_dead_is_nobody_elses_problem(rights: ControlPlane) -> None:
    rights.apply(
        [
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v9.security.istio.io"},
                "spec": {
                    "group": "security.istio.io",
                    "version": "v9",
                    "groupPriorityMinimum": 1000,
                    "versionPriority": 15,
                    "insecureSkipTLSVerify": True,
                    "service": {"name": "nobody", "namespace": FIRST},
                },
            }
        ]
    )

    batch = read(rights.kubeconfig)

    assert batch.gaps == ()
    assert not batch.missing_kinds


def test_the_version_that_checks_know_is_read_and_else_the_one_that_is_preferred(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    document = aggregated(filled)
    for group in document["items"]:
        if group["metadata"]["name"] == "networking.istio.io":
            group["versions"] = [v for v in group["versions"] if v["version"] != "v1"]
    proxy.fail("^/apis$", status=200, times=None, body=json.dumps(document).encode())

    batch = read(proxy.kubeconfig(), [kinds.VIRTUAL_SERVICE])

    assert batch.versions == {kinds.VIRTUAL_SERVICE: "v1beta1"}
    assert {resource.ref.version for resource in batch.resources} == {"v1beta1"}
    assert proxy.count("networking.istio.io/v1beta1/virtualservices") == 1


def test_where_discovery_is_forbidden_kinds_are_found_by_trial(proxy: FaultProxy) -> None:
    proxy.fail("^/apis?$", status=403, times=None)
    proxy.fail("/apis/configuration.konghq.com/", status=404, times=None)
    proxy.fail("/v1/referencegrants", status=404, times=None)

    batch = read(proxy.kubeconfig())

    assert refs(batch, kinds.SERVICE) == scene.all_services()
    assert batch.missing_kinds == {
        kind for kind in LISTED if kind.group == "configuration.konghq.com"
    }
    assert batch.versions[kinds.REFERENCE_GRANT] == "v1beta1"
    assert proxy.count("/v1beta1/referencegrants") == 1
