"""Every fault on every kind of request that is no list of a kind (`test_reading_every_fault`).

Whatever happens to a request: no traceback, the exit code that the README promises, all that the
other requests brought, and a word on what is missing.
"""

from __future__ import annotations

import gc
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reading_scene as scene
from commandline import Done, Here
from manyfaults import CELLS, FAULTS, PASSING, PATIENCE, SLOW
from reading_scene import FIRST, LISTED, SECOND, SERVICES, read, reader, refs
from test_cli_fix import CHECK, KONG
from testbed import ControlPlane, FaultProxy

from gwdoctor import kinds
from gwdoctor.model import Gap, Ref
from gwdoctor.source import connection, keeping
from gwdoctor.source.batch import NoCluster, Want

ALWAYS = None
ASKED = (kinds.SERVICE, kinds.ENDPOINT_SLICE, kinds.VIRTUAL_SERVICE)
every_cell = pytest.mark.parametrize(("fault", "times"), CELLS)
every_fault = pytest.mark.parametrize("fault", FAULTS)

EVENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "kong.1", "namespace": FIRST},
    "type": "Warning",
    "reason": "KongConfigurationApplyFailed",
    "message": "no",
    "involvedObject": {"kind": "Pod", "name": "web", "namespace": FIRST, "apiVersion": "v1"},
}


#: The address of the API server, as it writes it itself where Pods can reach it.
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["192.0.2.1"]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}


@pytest.fixture(scope="module")
def filled(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.forget()
    space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: s3}\n---\n"
    control_plane.apply(space + KONG.replace("argocd.argoproj.io/tracking-id", "example.com/x"))
    control_plane.apply([*scene.manifests(), EVENT, SLICE])
    yield control_plane
    control_plane.forget()


@pytest.fixture(scope="module")
def only_proxy(filled: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(filled, count_items=False).start() as started:
        yield started


@pytest.fixture
def proxy(only_proxy: FaultProxy) -> FaultProxy:
    only_proxy.clear()
    return only_proxy


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.01))


def patience(fault: str) -> dict[str, Any]:
    return {"request_timeout": PATIENCE} if fault in SLOW else {}


def passes(fault: str, times: int | None) -> bool:
    """Whether it is asked again until the fault is over."""
    return times == 1 and fault in PASSING


def told(gaps: tuple[Gap, ...]) -> set[tuple[Any, ...]]:
    assert all(gap.reason and gap.reason.isprintable() for gap in gaps)
    return {(gap.kind, gap.namespace, gap.name) for gap in gaps}


# --- objects by their names, and lists by labels -------------------------------------------------

#: Every way in which `fetch` asks, and the path by which the proxy knows it; all of one namespace.
FETCHED = {
    Want(kinds.CONFIG_MAP, FIRST, "settings"): f"^/api/v1/namespaces/{FIRST}/configmaps/settings",
    Want(kinds.SECRET, FIRST, "serving"): f"^/api/v1/namespaces/{FIRST}/secrets/serving",
    Want(kinds.POD_WHOLE, FIRST, "web"): f"^/api/v1/namespaces/{FIRST}/pods/web",
    Want(kinds.POD, FIRST, labels="app=web"): rf"^/api/v1/namespaces/{FIRST}/pods\?.*labelSelector",
    Want(kinds.SERVICE, FIRST): rf"^/api/v1/namespaces/{FIRST}/services(\?|$)",
}
ELSEWHERE = [Want(want.kind, SECOND, want.name, want.labels) for want in FETCHED]


@pytest.fixture(scope="module")
def fetched(filled: ControlPlane) -> set[Ref]:
    with reader(filled.kubeconfig) as live:
        found = {resource.ref for resource in live.fetch([*FETCHED, *ELSEWHERE]).resources}
    assert len(found) == 2 * 4 + SERVICES
    return found


@every_cell
def test_what_is_fetched(
    proxy: FaultProxy, fetched: set[Ref], fault: str, times: int | None
) -> None:
    with reader(proxy.kubeconfig(), connections=8, **patience(fault)) as live:
        for path in FETCHED.values():
            FAULTS[fault](proxy, path, times)
        batch = live.fetch([*FETCHED, *ELSEWHERE])

    found = {resource.ref for resource in batch.resources}
    assert len(found) == len(batch.resources)
    assert not batch.absent
    assert not batch.missing_kinds
    if passes(fault, times):
        assert (found, batch.gaps) == (fetched, ())
        return
    assert {ref for ref in fetched if ref.namespace == SECOND} <= found
    lost = {Want(kind, space, name) for kind, space, name in told(batch.gaps)}
    assert {Want(want.kind, want.namespace, want.name) for want in FETCHED} >= lost
    assert {(ref.kind, ref.namespace) for ref in fetched - found} == {
        (want.kind, want.namespace) for want in lost
    }
    if times is None:
        assert len(lost) == len(FETCHED)


# --- pages, and lists that are asked for in parts --------------------------------------------------


@every_cell
def test_a_later_page(proxy: FaultProxy, fault: str, times: int | None) -> None:
    with reader(proxy.kubeconfig(), chunk_size=10, **patience(fault)) as live:
        FAULTS[fault](proxy, "^/api/v1/services.*continue=", times)
        batch = live.list(ASKED)

    assert len(refs(batch, kinds.ENDPOINT_SLICE)) == SERVICES
    assert len(refs(batch, kinds.VIRTUAL_SERVICE)) == SERVICES
    assert len(batch.resources) == len({resource.ref for resource in batch.resources})
    if batch.gaps:
        assert not passes(fault, times)
        assert told(batch.gaps) == {(kinds.SERVICE, "", "")}
    else:
        assert len(refs(batch, kinds.SERVICE)) == SERVICES
        assert fault == "410" or times == 1


#: Events are read by three lists; each has its share of the faults.
PARTS = ("ApplyFailed", "type%3DWarning", "ConfigurationSucceeded")


@pytest.mark.parametrize(("fault", "part"), [*zip(FAULTS, itertools.cycle(PARTS), strict=False)])
def test_one_of_the_lists_of_events(proxy: FaultProxy, fault: str, part: str) -> None:
    with reader(proxy.kubeconfig(), **patience(fault)) as live:
        FAULTS[fault](proxy, f"^/api/v1/events.*{part}", ALWAYS)
        batch = live.list((*ASKED, kinds.EVENT))

    assert told(batch.gaps) == {(kinds.EVENT, "", "")}
    assert len(refs(batch, kinds.SERVICE)) == SERVICES
    assert (Ref(kinds.EVENT, FIRST, "kong.1") in refs(batch, kinds.EVENT)) == (
        part != "ApplyFailed"
    )


# --- meeting the server ----------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("root", ["/api", "/apis"])
def test_discovery(proxy: FaultProxy, root: str, fault: str, times: int | None) -> None:
    kubeconfig = proxy.kubeconfig()
    FAULTS[fault](proxy, rf"^{root}$", times)

    if passes(fault, times) or fault == "403":  # where it is forbidden, it is done without
        assert len(read(kubeconfig, ASKED, **patience(fault)).resources) >= 3 * SERVICES
        return
    with pytest.raises(NoCluster) as failure:
        read(kubeconfig, ASKED, **patience(fault))
    assert str(failure.value).isprintable()


GROUP = "networking.istio.io"


@pytest.fixture(scope="module")
def legacy(filled: ControlPlane) -> dict[str, bytes]:
    """The two documents as a server of before 1.26 gives them, with the groups that we ask for."""
    core, others = (filled.client.request("GET", root).json() for root in ("/api", "/apis"))
    others["groups"] = [g for g in others["groups"] if g["name"] in (GROUP, "discovery.k8s.io")]
    return {"/api": json.dumps(core).encode(), "/apis": json.dumps(others).encode()}


def without_aggregation(proxy: FaultProxy, legacy: dict[str, bytes]) -> None:
    for root, body in legacy.items():
        proxy.fail(f"^{root}$", 200, ALWAYS, body=body)


@every_cell
def test_the_discovery_of_one_group(
    proxy: FaultProxy, legacy: dict[str, bytes], fault: str, times: int | None
) -> None:
    kubeconfig = proxy.kubeconfig()
    without_aggregation(proxy, legacy)
    FAULTS[fault](proxy, f"^/apis/{GROUP}/v1", times)

    ours = {kinds.VIRTUAL_SERVICE, kinds.ENVOY_FILTER}
    batch = read(kubeconfig, {*ASKED, *ours}, **patience(fault))

    lost = set() if passes(fault, times) else ours
    assert {gap.kind for gap in batch.gaps} in (lost, set() if times == 1 else lost)
    assert not batch.missing_kinds & ours
    assert len(refs(batch, kinds.SERVICE)) == SERVICES
    assert len(refs(batch, kinds.VIRTUAL_SERVICE)) == (0 if batch.gaps else SERVICES)


def test_a_version_that_is_not_told_about_hides_its_kinds(
    proxy: FaultProxy, legacy: dict[str, bytes]
) -> None:
    kubeconfig = proxy.kubeconfig()
    without_aggregation(proxy, legacy)
    proxy.fail(f"^/apis/{GROUP}/v1alpha3$", 503, ALWAYS)

    batch = read(kubeconfig, LISTED)

    assert {gap.kind for gap in batch.gaps} == {kinds.ENVOY_FILTER}
    assert len(refs(batch, kinds.VIRTUAL_SERVICE)) == SERVICES


@pytest.mark.parametrize("of", ["aggregated", "by name"])
def test_a_group_of_wrong_types_costs_itself(
    proxy: FaultProxy, filled: ControlPlane, legacy: dict[str, bytes], of: str
) -> None:
    kubeconfig = proxy.kubeconfig()
    if of == "aggregated":
        body = b'{"metadata":{"name":"%b"},"versions":7}' % GROUP.encode()
        others = '{"kind":"APIGroupDiscoveryList","items":[%s,%s]}'
        core = {"name": "networking.k8s.io"}
        other = json.dumps({"metadata": core, "versions": []})
        proxy.fail("^/apis$", 200, ALWAYS, body=(others % (body.decode(), other)).encode())
    else:
        without_aggregation(proxy, legacy)
        document = json.loads(legacy["/apis"])
        next(g for g in document["groups"] if g["name"] == GROUP)["versions"] = 7
        proxy.clear()
        without_aggregation(proxy, {**legacy, "/apis": json.dumps(document).encode()})

    batch = read(kubeconfig, LISTED)

    assert {gap.kind for gap in batch.gaps} == {kind for kind in LISTED if kind.group == GROUP}
    assert len(refs(batch, kinds.SERVICE)) == SERVICES


@every_fault
def test_who_we_are_and_whether_the_namespace_is_there(proxy: FaultProxy, fault: str) -> None:
    """Neither is needed; and no namespace is missing because somebody on the way says so."""
    kubeconfig = proxy.kubeconfig()
    FAULTS[fault](proxy, "/selfsubjectreviews", ALWAYS)
    FAULTS[fault](proxy, f"^/api/v1/namespaces/{FIRST}$", ALWAYS)

    batch = read(kubeconfig, (*ASKED, kinds.NAMESPACE), namespaces=[FIRST], **patience(fault))

    assert batch.gaps == ()
    assert len(refs(batch, kinds.SERVICE)) == SERVICES / 2
    assert batch.target
    assert batch.target.user == "admin"


def test_a_namespace_that_is_not_there_is_no_cluster(proxy: FaultProxy) -> None:
    with pytest.raises(NoCluster, match="namespace 'nowhere' does not exist"):
        read(proxy.kubeconfig(), ASKED, namespaces=["nowhere"])


# --- commands that ask for more ----------------------------------------------------------------------

ONLY = ("--select", CHECK)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setattr(keeping, "SECONDS", 5)
    return Here(capsys)


def ran(here: Here, proxy: FaultProxy, fault: str, *arguments: str) -> Done:
    more = [f"--request-timeout={PATIENCE}s"] if fault in SLOW else []
    done = here(*arguments, *more, "--kubeconfig", proxy.kubeconfig())
    assert "Traceback" not in done.out + done.err
    assert "a bug of gwdoctor" not in done.err
    return done


#: Where the server's own words say that it would not take it.
REFUSALS = {"403", "409", "410", "500"}


@every_fault
def test_the_dry_run_of_a_fix(proxy: FaultProxy, here: Here, fault: str) -> None:
    FAULTS[fault](proxy, "dryRun=All", ALWAYS)

    done = ran(here, proxy, fault, "fix", CHECK, "-n", "s3", "--dry-run=server")

    assert done.code == (1 if fault in REFUSALS else 3), done.out
    assert "accepts it (dry run)" not in done.out
    words = "refuses it" if fault in REFUSALS else "did not say whether it accepts it"
    assert f"# API server, Service s3/minio: {words}: " in done.out
    assert "konghq.com/protocol: https" in done.out


@every_fault
def test_who_keeps_what_a_fix_changes(proxy: FaultProxy, here: Here, fault: str) -> None:
    """The same object is read by the scan, in a list."""
    FAULTS[fault](proxy, "^/api/v1/namespaces/s3/services/minio$", ALWAYS)

    done = ran(here, proxy, fault, "fix", CHECK, "-n", "s3")

    assert done.code == 0
    if fault != "403":
        assert "# owner of Service s3/minio: not known: " in done.out
    assert "konghq.com/protocol: https" in done.out


# The first refusal ends it, with other questions under way; these end with the process, or here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@every_cell
def test_what_the_user_may(filled: ControlPlane, here: Here, fault: str, times: int | None) -> None:
    with FaultProxy(filled).start() as proxy:
        FAULTS[fault](proxy, "/selfsubjectaccessreviews", times)
        done = ran(here, proxy, fault, "rbac", "--check", "--for", CHECK)
    for thread in threading.enumerate():
        if "(_work)" in thread.name:
            thread.join(10)
    gc.collect()

    if passes(fault, times):
        assert (done.code, done.err) == (0, "")
        assert "could run: 1 yes" in done.out
    else:
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith("gwdoctor: cannot ask what may be read: ")
        assert done.err.count("\n") == 1


PLACES = ("configmap=kept", "openreports")
#: The requests of a delivery: of what was, of what is, and whether the API for it is there.
DELIVERIES = {
    "what was": (PLACES, ("^/api/v1/namespaces/default/configmaps/kept$", r"/reports\?label")),
    "what is": (PLACES, (r"/configmaps/kept\?fieldManager", "/reports/.*fieldManager")),
    "whether": (PLACES[1:], ("^/apis/openreports.io/v1alpha1$",)),
}


@every_fault
@pytest.mark.parametrize("step", DELIVERIES)
def test_a_report_that_is_kept(proxy: FaultProxy, here: Here, step: str, fault: str) -> None:
    places, paths = DELIVERIES[step]
    for path in paths:
        FAULTS[fault](proxy, path, ALWAYS)

    done = ran(
        here, proxy, fault,
        *("scan", "-n", "s3", *ONLY, "-o", "json", "--fail-on", "never"),
        *(word for place in places for word in ("--report-to", place)),
    )  # fmt: skip

    assert done.ids == [CHECK]
    assert done.report["not_checked"] == []
    assert done.code == 3, done.err
    for place in places:
        assert f"gwdoctor: --report-to {place}: " in done.err


@every_fault
def test_the_owner_of_a_report(
    proxy: FaultProxy, here: Here, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GWDOCTOR_CRONJOB", "nightly")
    FAULTS[fault](proxy, "/cronjobs/nightly", ALWAYS)

    done = ran(
        here, proxy, fault,
        *("scan", "-n", "s3", *ONLY, "-o", "json", "--fail-on", "never"),
        *("--report-to", "configmap=owned"),
    )  # fmt: skip

    assert done.code == 0, done.err
    assert done.ids == [CHECK]
    assert "the report has no owner: CronJob nightly: " in done.err


@every_fault
def test_the_addresses_of_the_api_server(proxy: FaultProxy, here: Here, fault: str) -> None:
    """A policy that lets a Pod reach half of them would be worse than none."""
    FAULTS[fault](proxy, "/services/kubernetes$", ALWAYS)

    done = ran(here, proxy, fault, "manifests", "--api-server", "auto")

    assert (done.code, done.out) == (2, "")
    assert "--api-server auto: Service default/kubernetes cannot be read: " in done.err


@pytest.mark.parametrize("fault", ["403", "500", "429 for a while", "truncated", "a web page"])
def test_scan_why_and_a_snapshot_tell_the_same_gap(
    proxy: FaultProxy, here: Here, fault: str, tmp_path: Path
) -> None:
    """And the exit code is what the rest makes it."""
    FAULTS[fault](proxy, r"^/apis/networking.k8s.io/v1/(namespaces/s3/)?ingressclasses", ALWAYS)
    saved = str(tmp_path / "saved")

    scanned = ran(here, proxy, fault, "scan", "-n", "s3", "-o", "json")
    snapped = ran(here, proxy, fault, "snapshot", "-n", "s3", "-o", saved)
    again = here("scan", "--snapshot", saved, "-n", "s3", "-o", "json")
    walked = ran(here, proxy, fault, "why", "http://s3.example.com/", "-n", "s3", "-o", "json")

    assert (scanned.code, snapped.code, again.code) == (1, 0, 1)
    assert scanned.ids == again.ids
    assert CHECK in scanned.ids
    assert "IngressClass" in str(scanned.report["not_checked"])
    assert again.report["not_checked"] == scanned.report["not_checked"]
    assert walked.code in (1, 3)
    assert "IngressClass" in walked.out
