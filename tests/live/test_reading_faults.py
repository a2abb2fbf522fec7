"""The live source in front of a server that misbehaves: complete, or a gap that says what is not.

No fault may raise anything but NoCluster, hide another kind, or outlast the deadline.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading_scene import FIRST, LISTED, SECOND, SERVICES, all_services, read, reader, refs
from testbed import ControlPlane, FaultProxy, kubeconfig

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind, Ref
from gwdoctor.source import connection, lister
from gwdoctor.source.batch import Batch, NoCluster, Want
from gwdoctor.source.discovery import Served
from gwdoctor.source.lister import Listing, Read

SERVICE_LIST = "^/api/v1/services"
ALWAYS = None
ASKED = (kinds.SERVICE, kinds.ENDPOINT_SLICE, kinds.VIRTUAL_SERVICE)


pytestmark = pytest.mark.usefixtures("impatient")


def reason(batch: Batch, kind: Kind = kinds.SERVICE) -> str:
    """The one gap there is, and that the other kinds are whole."""
    assert len(refs(batch, kinds.ENDPOINT_SLICE)) == SERVICES
    assert len(refs(batch, kinds.VIRTUAL_SERVICE)) == SERVICES
    (gap,) = batch.gaps
    assert (gap.kind, gap.namespace, gap.name) == (kind, "", "")
    return gap.reason


def whole(batch: Batch) -> bool:
    """Whether everything is there, once, and nothing says otherwise."""
    assert len(batch.resources) == len({resource.ref for resource in batch.resources})
    return not batch.gaps and not batch.incomplete and refs(batch, kinds.SERVICE) == all_services()


# --- faults that pass --------------------------------------------------------------------

Fault = Callable[[FaultProxy, int | None], Any]
FAULTS: dict[str, Fault] = {
    "429": lambda p, times: p.fail(SERVICE_LIST, 429, times),
    "429 with Retry-After": lambda p, times: p.fail(
        SERVICE_LIST, 429, times, headers={"Retry-After": "1"}
    ),
    "500": lambda p, times: p.fail(SERVICE_LIST, 500, times),
    "502": lambda p, times: p.fail(SERVICE_LIST, 502, times, body=b"<html>Bad Gateway</html>"),
    "503": lambda p, times: p.fail(SERVICE_LIST, 503, times),
    "504": lambda p, times: p.fail(SERVICE_LIST, 504, times),
    "reset before the body": lambda p, times: p.reset_after(SERVICE_LIST, 0, times),
    "reset in mid body": lambda p, times: p.reset_after(SERVICE_LIST, 500, times),
    "truncated": lambda p, times: p.truncate_after(SERVICE_LIST, 500, times),
    "corrupt head": lambda p, times: p.corrupt(SERVICE_LIST, 3, times),
    "corrupt middle": lambda p, times: p.corrupt(SERVICE_LIST, 900, times),
    "no JSON": lambda p, times: p.fail(SERVICE_LIST, 200, times, body=b"<html>Please log in</html>"),
    "no list": lambda p, times: p.fail(SERVICE_LIST, 200, times, body=b'{"kind":"Status"}'),
    "an empty body": lambda p, times: p.fail(SERVICE_LIST, 200, times, body=b""),
    "nested too deep": lambda p, times: p.fail(
        SERVICE_LIST, 200, times, body=b'{"items":' + b"[" * 100_000
    ),
    "no UTF-8": lambda p, times: p.fail(
        SERVICE_LIST, 200, times, body=b'{"kind":"ServiceList","items":[{"metadata":{"name":"\xff"}}]}'
    ),
    "410 in mid list": lambda p, times: p.fail("/services.*continue", 410, times),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_passes_is_outlasted(proxy: FaultProxy, fault: Fault) -> None:
    fault(proxy, 2)

    batch = read(proxy.kubeconfig(), ASKED, chunk_size=10)

    assert whole(batch)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_stays_is_a_gap(proxy: FaultProxy, fault: Fault) -> None:
    fault(proxy, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED, chunk_size=10)

    if fault is FAULTS["410 in mid list"]:  # it ends where the list is asked for in one piece
        assert whole(batch)
        assert "limit=" not in [e for e in proxy.requests if "/v1/services" in e.path][-1].query
        return
    told = reason(batch)
    assert told
    assert "\n" not in told


def test_the_second_page_of_a_list_that_breaks_leaves_a_gap(proxy: FaultProxy) -> None:
    proxy.fail("/services.*continue", 500, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED, chunk_size=10)

    assert "500" in reason(batch)
    assert len([r for r in batch.resources if r.ref.kind == kinds.SERVICE]) == 10


def test_packed_answers_and_one_that_is_broken(proxy: FaultProxy, filled: ControlPlane) -> None:
    """The server packs what is larger than 128 KiB only; one in between packs more."""
    body = gzip.compress(filled.client.request("GET", "/api/v1/services").body)
    broken = body[:200] + bytes(byte ^ 0xFF for byte in body[200:])
    packed = {"Content-Encoding": "gzip"}
    proxy.fail(SERVICE_LIST, 200, 1, headers=packed, body=broken)

    batch = read(proxy.kubeconfig(), ASKED, compress=True)

    assert whole(batch)
    services = [each for each in proxy.requests if each.path == "/api/v1/services"]
    asked = [each.headers["Accept-Encoding"] for each in services]
    assert asked == ["gzip", "identity"]


def test_packed_answers_are_unpacked(proxy: FaultProxy, filled: ControlPlane) -> None:
    body = gzip.compress(filled.client.request("GET", "/api/v1/services").body)
    packed = {"Content-Encoding": "gzip"}
    proxy.fail(SERVICE_LIST, 200, ALWAYS, headers=packed, body=body)

    assert whole(read(proxy.kubeconfig(), ASKED, compress=True))


def test_next_to_the_server_nothing_is_packed(proxy: FaultProxy) -> None:
    read(proxy.kubeconfig(), ASKED)

    assert {each.headers["Accept-Encoding"] for each in proxy.requests} == {"identity"}


# --- refusals ----------------------------------------------------------------------------


def test_403_is_a_gap_with_its_rule(proxy: FaultProxy) -> None:
    proxy.fail(SERVICE_LIST, 403, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED)

    assert "403" in reason(batch)
    assert batch.gaps[0].rbac == {
        "apiGroups": [""],
        "resources": ["services"],
        "verbs": ["get", "list"],
    }
    assert proxy.count(SERVICE_LIST) == 1


def test_404_is_a_gap_where_discovery_tells_of_the_kind(proxy: FaultProxy) -> None:
    proxy.fail("/virtualservices", 404, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED)

    (gap,) = batch.gaps
    assert gap.kind == kinds.VIRTUAL_SERVICE
    assert "404" in gap.reason
    assert not batch.missing_kinds


def test_404_is_a_missing_kind_where_nobody_tells_of_it(proxy: FaultProxy) -> None:
    proxy.fail("^/apis[?]?$", 403, ALWAYS)
    proxy.fail("/virtualservices", 404, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED)

    assert batch.gaps == ()
    assert batch.missing_kinds == {kinds.VIRTUAL_SERVICE}
    assert refs(batch, kinds.SERVICE) == all_services()


def test_401_from_the_start_is_no_cluster(proxy: FaultProxy) -> None:
    proxy.fail("", 401, ALWAYS)

    with pytest.raises(NoCluster, match=r"does not accept the credentials of user 'admin'"):
        read(proxy.kubeconfig())


def test_401_in_the_middle_is_a_gap(proxy: FaultProxy) -> None:
    proxy.fail(SERVICE_LIST, 401, ALWAYS)

    assert "401" in reason(read(proxy.kubeconfig(), ASKED))


def test_a_login_page_is_no_api_server(proxy: FaultProxy) -> None:
    proxy.fail("", 200, ALWAYS, body=b"<html>Please log in</html>")

    with pytest.raises(NoCluster, match="what answers at /api is no API server"):
        read(proxy.kubeconfig())


def test_a_redirect_is_not_followed(proxy: FaultProxy) -> None:
    proxy.fail("", 302, ALWAYS, headers={"Location": "https://127.0.0.1:1/login"}, body=b"")

    with pytest.raises(NoCluster, match="302: it sends us elsewhere, as a login page does"):
        read(proxy.kubeconfig())


def test_a_wish_to_come_again_much_later_is_told_and_not_waited_for(proxy: FaultProxy) -> None:
    proxy.fail(SERVICE_LIST, 503, ALWAYS, headers={"Retry-After": "3600"})
    started = time.monotonic()

    batch = read(proxy.kubeconfig(), ASKED)

    assert "asks to come again in 3600 s" in reason(batch)
    assert time.monotonic() - started < 10


# --- no connection -----------------------------------------------------------------------


def lost(filled: ControlPlane, tmp_path: Path, server: str) -> Path:
    """A kubeconfig that leads elsewhere, and trusts the authority of the control plane."""
    assert filled.ca_file
    return kubeconfig.write(
        tmp_path / "lost.kubeconfig",
        server=server,
        ca_file=filled.ca_file,
        user="admin",
        login={"token": filled.token()},
    )


def test_a_server_that_is_not_there(filled: ControlPlane, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]

        with pytest.raises(NoCluster, match=rf"127.0.0.1:{port} .* the connection is refused"):
            read(lost(filled, tmp_path, f"https://127.0.0.1:{port}"))


def test_a_server_that_accepts_and_says_nothing(filled: ControlPlane, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()

        with pytest.raises(NoCluster, match="deadline"):
            read(lost(filled, tmp_path, server), timeout=1)

    assert time.monotonic() - started < 8


def test_a_server_that_does_not_speak_tls(filled: ControlPlane, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        server = f"https://127.0.0.1:{plain.getsockname()[1]}"

        def answer() -> None:
            for _ in range(40):
                accepted, _ = plain.accept()
                with accepted:
                    accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    accepted.recv(4096)

        threading.Thread(target=_quietly(answer), daemon=True).start()

        with pytest.raises(NoCluster, match=r"cannot read from https://127.0.0.1:\d+ .*TLS"):
            read(lost(filled, tmp_path, server))


def _quietly(job: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except OSError:
            return

    return run


def test_a_name_that_nobody_knows(filled: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(
        NoCluster, match=r"no-such-host.invalid:6443.*the name of the server cannot be"
    ):
        read(lost(filled, tmp_path, "https://no-such-host.invalid:6443"))


def test_a_certificate_of_another_authority(
    filled: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    with pytest.raises(NoCluster, match=r"is not trusted: .*certificate-authority in kubeconfig"):
        read(lost(filled, tmp_path, proxy.url))


# --- the deadline ------------------------------------------------------------------------

SLOW: dict[str, Fault] = {
    "endless": lambda p, times: p.endless(SERVICE_LIST, times),
    "drip": lambda p, times: p.drip(SERVICE_LIST, 50, times),
    "silence": lambda p, times: p.delay(SERVICE_LIST, 30, times),
    "429 for ever": lambda p, times: p.fail(SERVICE_LIST, 429, times, headers={"Retry-After": "1"}),
}


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW.keys())
def test_the_deadline_ends_the_run_with_what_there_is(proxy: FaultProxy, fault: Fault) -> None:
    with reader(proxy.kubeconfig(), timeout=3) as live:
        fault(proxy, ALWAYS)
        started = time.monotonic()
        batch = live.list(ASKED)
        took = time.monotonic() - started

    assert "deadline" in reason(batch)
    assert batch.incomplete
    assert took < 10


def test_after_the_deadline_nothing_is_fetched_and_nothing_is_absent(proxy: FaultProxy) -> None:
    with reader(proxy.kubeconfig(), timeout=3) as live:
        proxy.delay("/configmaps/", 30, ALWAYS)
        batch = live.fetch([Want(kinds.CONFIG_MAP, FIRST, f"c-{n}") for n in range(20)])
        later = live.fetch([Want(kinds.CONFIG_MAP, FIRST, "settings")])

    assert len(batch.gaps) == 20
    assert batch.incomplete
    assert later.incomplete
    assert not batch.absent | later.absent


def test_a_request_has_a_time_of_its_own(proxy: FaultProxy) -> None:
    proxy.delay(SERVICE_LIST, 30, ALWAYS)
    started = time.monotonic()

    batch = read(proxy.kubeconfig(), ASKED, request_timeout=0.3)

    assert reason(batch) == "the answer was not there in full after 0.3 s (--request-timeout)"
    assert not batch.incomplete
    assert time.monotonic() - started < 10


# --- objects of a wrong form -------------------------------------------------------------


def test_an_object_of_a_wrong_form_is_named_and_the_others_are_read(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    document = filled.client.request("GET", "/api/v1/services").json()
    for item in document["items"]:
        if item["metadata"]["name"] == "web-03":
            item["metadata"]["labels"] = {"app": 5}
        if item["metadata"]["name"] == "web-05":
            item["metadata"] = "gone"
    proxy.fail(SERVICE_LIST, 200, ALWAYS, body=json.dumps(document).encode())

    batch = read(proxy.kubeconfig(), ASKED)

    assert {(gap.namespace, gap.name, gap.reason) for gap in batch.gaps} == {
        (
            SECOND,
            "",
            "one, web-03, cannot be read: metadata.labels.*: Expected `str`, got `int`",
        ),
        ("", "", "one, without a name, cannot be read: metadata: Expected `object`, got `str`"),
    }
    assert len(refs(batch, kinds.SERVICE)) == SERVICES - 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab\x00é", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc"), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "kind", [kinds.SERVICE, kinds.ENDPOINT_SLICE, kinds.SECRET, kinds.POD, kinds.VIRTUAL_SERVICE]
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_value_in_any_field_breaks_the_reader(
    filled: ControlPlane, kind: Kind, data: st.DataObject
) -> None:
    """Each object is read, or named by a gap, or the page is no list at all."""
    reading = READINGS[kind]
    root = f"/apis/{kind.group}/{reading.versions[0]}" if kind.group else "/api/v1"
    served = Served(reading.versions[0], reading.plural, root)
    document = _document(filled, served.path())
    spot, key = data.draw(st.sampled_from(list(_places(document))))
    spot[key] = data.draw(JSON)
    read_so_far = Read(Listing(kind, served))

    try:
        lister.decode_page(read_so_far, bytearray(json.dumps(document).encode()))
    except connection.Trouble:
        return

    items = document["items"] or []
    assert len(read_so_far.resources) + len(read_so_far.gaps) == len(items)


_DOCUMENTS: dict[str, bytes] = {}


def _document(filled: ControlPlane, path: str) -> Any:
    if path not in _DOCUMENTS:
        _DOCUMENTS[path] = filled.client.request("GET", path, query={"limit": "6"}).body
    return json.loads(_DOCUMENTS[path])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def test_a_broken_object_that_is_fetched_is_named(proxy: FaultProxy) -> None:
    head = {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": FIRST}}
    body = json.dumps({**head, "data": []}).encode()
    proxy.fail("/configmaps/settings", 200, ALWAYS, body=body)
    proxy.fail("/configmaps/other", 200, ALWAYS, body=b"{")

    with reader(proxy.kubeconfig()) as live:
        batch = live.fetch([Want(kinds.CONFIG_MAP, FIRST, n) for n in ("settings", "other")])

    assert {(gap.name, gap.reason) for gap in batch.gaps} == {
        ("settings", "cannot be read: data: Expected `object | null`, got `array`"),
        ("other", "the answer is broken JSON"),
    }
    assert Ref(kinds.CONFIG_MAP, FIRST, "settings") not in batch.absent


def test_every_kind_survives_every_status(proxy: FaultProxy) -> None:
    with reader(proxy.kubeconfig(), connections=8) as live:
        for status in (400, 402, 404, 405, 406, 409, 415, 418, 422, 451):
            proxy.clear()
            proxy.fail("", status, ALWAYS)
            batch = live.list(LISTED)
            assert batch.resources == ()
            assert {gap.kind for gap in batch.gaps} | batch.missing_kinds == LISTED
