"""The live source in front of servers that answer as no API server does, and of what stands between.

Endless, dripping and enormous answers, web pages, redirects, HTTP/1.0, and answers to other
questions: each ends in time, costs only what it is about, and is told in words.
"""

from __future__ import annotations

import copy
import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import reading_scene as scene
from manyfaults import somewhere_else
from reading_scene import FIRST, SERVICES, read, reader, refs
from testbed import ControlPlane, FaultProxy

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.source import access, connection, decode, discovery
from gwdoctor.source.batch import Batch, Want
from gwdoctor.source.connection import Connection
from gwdoctor.source.deadline import Deadline

SERVICE_LIST = "^/api/v1/services"
SETTINGS = f"^/api/v1/namespaces/{FIRST}/configmaps/settings"
ASKED = (kinds.SERVICE, kinds.ENDPOINT_SLICE, kinds.VIRTUAL_SERVICE)
WANTS = [Want(kinds.CONFIG_MAP, space, "settings") for space in (FIRST, scene.SECOND)]
ALWAYS = None
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: 1 GB of blanks.
BOMB = zlib.compress(b" " * (1 << 26), 9, wbits=31)


pytestmark = pytest.mark.usefixtures("impatient")


def reason(batch: Batch) -> str:
    """Why the Services could not be read, and that everything else was."""
    assert len(refs(batch, kinds.ENDPOINT_SLICE)) == SERVICES
    assert len(refs(batch, kinds.VIRTUAL_SERVICE)) == SERVICES
    (gap,) = batch.gaps
    assert (gap.kind, gap.namespace, gap.name) == (kinds.SERVICE, "", "")
    assert gap.reason.isprintable()
    return gap.reason


# --- answers that come too slowly, or never end -----------------------------------------------

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
SLOW: dict[str, dict[str, Any]] = {
    "a head byte by byte": {"content": HEAD, "rate": 20},
    "words that it goes on": {
        "content": b"", "refrain": b"HTTP/1.1 100 Continue\r\n\r\n",
    },
    "the size of a chunk byte by byte": {"content": CHUNKED + b"5;" + b"x" * 999, "rate": 200},
    "a packed body that unpacks to nothing": {
        "content": PACKED + b"\x1f\x8b\x08\x08\0\0\0\0\0\0" + b"n" * 9999, "rate": 500,
    },
    "trailers without end": {"content": CHUNKED + b"2\r\n{}\r\n0\r\n", "refrain": b"A: b\r\n"},
}  # fmt: skip


@pytest.mark.parametrize("slow", SLOW)
def test_no_part_of_an_answer_outlasts_the_deadline(proxy: FaultProxy, slow: str) -> None:
    with reader(proxy.kubeconfig(), timeout=3) as live:
        proxy.say(SERVICE_LIST, times=ALWAYS, **SLOW[slow])
        started = time.monotonic()
        batch = live.list(ASKED)
    assert "deadline" in reason(batch)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("slow", SLOW)
def test_no_part_of_an_answer_outlasts_the_time_of_a_request(proxy: FaultProxy, slow: str) -> None:
    proxy.say(SERVICE_LIST, times=ALWAYS, **SLOW[slow])
    started = time.monotonic()

    batch = read(proxy.kubeconfig(), ASKED, request_timeout=0.2, timeout=20)

    assert not batch.incomplete
    assert reason(batch)
    assert time.monotonic() - started < 15


# --- answers that are too large ----------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2])
def test_what_unpacks_to_gigabytes_is_cut_off(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    """64 MB of blanks in 64 KB, again and again; or 64 GB, packed twice."""
    monkeypatch.setattr(connection, "MOST_BYTES", 1 << 20)
    packed = zlib.compress(BOMB * 1000, 9, wbits=31) if layers == 2 else BOMB * 20
    encoding = ", ".join(["gzip"] * layers)
    proxy.fail(SERVICE_LIST, 200, ALWAYS, headers={"Content-Encoding": encoding}, body=packed)
    tracemalloc.start()

    told = reason(read(proxy.kubeconfig(), ASKED, compress=True))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told == "an answer is larger than 1 MiB (see --chunk-size)"
    assert peak < 40 << 20


HEADS = {
    "a header of a megabyte": b"X: " + b"y" * (1 << 20) + b"\r\n",
    "a thousand headers": b"".join(b"X-%d: y\r\n" % n for n in range(1000)),
    "no colon": b"this is no header\r\n",
    "a length that is none": b"Content-Length: many\r\n",
    "a negative length": b"Content-Length: -5\r\n",
    "a status line once more": b"HTTP/1.1 500 No\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_is_none(proxy: FaultProxy, head: str, capfd: Any) -> None:
    proxy.say(SERVICE_LIST, b"HTTP/1.1 200 OK\r\n" + HEADS[head] + b"\r\n{}", ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED)
    assert reason(batch)
    assert capfd.readouterr().err == ""


STATUS_LINES = [
    b"",
    b"\0" * 9,
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 99999 X\r\n\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n{}",
    b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 200 \xff\xfe\x1b[2J\r\n\r\n{}",
    b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 -1 \r\n\r\n",
]


@pytest.mark.parametrize("line", STATUS_LINES)
def test_a_status_line_that_is_none(proxy: FaultProxy, line: bytes, capfd: Any) -> None:
    proxy.say(SERVICE_LIST, line, ALWAYS)

    batch = read(proxy.kubeconfig(), ASKED)
    assert reason(batch)
    assert capfd.readouterr().err == ""


# --- pages of somebody else --------------------------------------------------------------------

PAGE = b"<!DOCTYPE html><title>Sign in</title>"


def test_http_1_0_and_a_connection_for_every_request(filled: ControlPlane) -> None:
    with FaultProxy(filled, version="HTTP/1.0").start() as proxy:
        batch = read(proxy.kubeconfig(), chunk_size=5)

        assert batch.gaps == ()
        assert len(batch.resources) == proxy.items_served("^/apis?/")
        assert len(refs(batch, kinds.SERVICE)) == SERVICES


@pytest.mark.parametrize(
    "kind", ["text/html", "text/plain", "application/vnd.kubernetes.protobuf", ""]
)
def test_what_counts_is_the_content_and_not_what_it_is_called(
    proxy: FaultProxy, filled: ControlPlane, kind: str
) -> None:
    body = filled.client.request("GET", "/api/v1/services").body
    proxy.fail(SERVICE_LIST, 200, ALWAYS, headers={"Content-Type": kind}, body=body)

    assert len(refs(read(proxy.kubeconfig(), ASKED), kinds.SERVICE)) == SERVICES


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_sent_where_a_redirect_leads(proxy: FaultProxy, status: int) -> None:
    with somewhere_else() as (address, heard):
        where = {"Location": f"http://{address}/api/v1/services"}
        proxy.fail(SERVICE_LIST, status, ALWAYS, headers=where, body=b"")
        proxy.fail(SETTINGS, status, ALWAYS, headers=where, body=b"")
        with reader(proxy.kubeconfig()) as live:
            batch = live.list(ASKED)
            one = live.fetch(WANTS)

    assert heard == []
    assert "it sends us elsewhere" in reason(batch)
    (gap,) = one.gaps
    assert "it sends us elsewhere" in gap.reason


# --- how long to wait ----------------------------------------------------------------------------

WAITS = [
    "1000000000",
    "9" * 400,
    "-1",
    "-1000000000",
    "0",
    "1e9",
    "nan",
    "inf",
    "soon",
    "",
    "\u0663",
    "Sat, 21 Nov 2026 12:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -9999",
    "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "1.5",
    "1;2",
]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_an_absurd_wish_to_come_again_is_no_wait(proxy: FaultProxy, wait: str, status: int) -> None:
    proxy.fail(
        SERVICE_LIST, status, ALWAYS, headers={"Retry-After": wait.encode().decode("latin-1")}
    )
    started = time.monotonic()

    batch = read(proxy.kubeconfig(), ASKED)

    assert str(status) in reason(batch)
    assert time.monotonic() - started < 15


def test_a_date_to_come_again_is_a_wait_till_then() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    wait = connection._Answer(429, {"retry-after": soon}, bytearray()).retry_after

    assert wait is not None
    assert 20 < wait <= 30


# --- lists that never end ------------------------------------------------------------------------


@pytest.mark.parametrize("circle", ["A", "AB", "ABC"])
def test_a_list_that_goes_in_circles_is_left(proxy: FaultProxy, circle: str) -> None:
    def page(token: str) -> bytes:
        listed = {"apiVersion": "v1", "kind": "ServiceList", "items": []}
        return json.dumps({**listed, "metadata": {"continue": token}}).encode()

    for token, following in zip(circle, circle[1:] + circle[0], strict=True):
        proxy.fail(f"/services.*continue={token}", 200, ALWAYS, body=page(following))
    proxy.fail(SERVICE_LIST, 200, ALWAYS, body=page(circle[0]))

    batch = read(proxy.kubeconfig(), ASKED)

    assert "the list never ends" in reason(batch)
    assert proxy.count("/services") == 1 + len(circle)


# --- answers to another question -----------------------------------------------------------------


OTHERS = {
    "of another kind": "/api/v1/pods",
    "of another group": "/apis/discovery.k8s.io/v1/endpointslices",
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_list_of_another_kind_is_not_taken_for_this_one(
    proxy: FaultProxy, filled: ControlPlane, other: str
) -> None:
    body = filled.client.request("GET", OTHERS[other]).body
    proxy.fail(SERVICE_LIST, 200, ALWAYS, body=body)

    batch = read(proxy.kubeconfig(), ASKED)
    assert reason(batch)
    assert not refs(batch, kinds.SERVICE)


ONES = {
    "another name": f"/api/v1/namespaces/{FIRST}/configmaps/kube-root-ca.crt",
    "another namespace": f"/api/v1/namespaces/{scene.SECOND}/configmaps/settings",
    "another kind": f"/api/v1/namespaces/{FIRST}/services/web-00",
    "a list": f"/api/v1/namespaces/{FIRST}/configmaps",
}


@pytest.mark.parametrize(
    "one", [*ONES, "{}", '{"metadata":{}}', "[]", "null", "7", '{"kind":"Status"}']
)
def test_an_object_of_another_name_is_not_taken_for_this_one(
    proxy: FaultProxy, filled: ControlPlane, one: str
) -> None:
    body = filled.client.request("GET", ONES[one]).body if one in ONES else one.encode()
    proxy.fail(SETTINGS, 200, ALWAYS, body=body)

    with reader(proxy.kubeconfig()) as live:
        batch = live.fetch(WANTS)
    (gap,) = batch.gaps
    assert (gap.kind, gap.namespace, gap.name) == (kinds.CONFIG_MAP, FIRST, "settings")
    (found,) = batch.resources
    assert found.ref.namespace == scene.SECOND


def test_a_list_that_leads_back_to_itself_ends(proxy: FaultProxy, filled: ControlPlane) -> None:
    """A cache in between that looks at the path only."""
    first = filled.client.request("GET", "/api/v1/services", query={"limit": "5"}).body
    proxy.fail(SERVICE_LIST, 200, ALWAYS, body=first)

    batch = read(proxy.kubeconfig(), ASKED, timeout=5, chunk_size=5)
    assert not batch.incomplete
    assert reason(batch)
    assert len(batch.resources) == len({r.ref for r in batch.resources})


@pytest.mark.parametrize("body", [PAGE, b"404 page not found", b"", b"{}"])
def test_a_404_that_is_not_the_api_servers_is_not_absence(proxy: FaultProxy, body: bytes) -> None:
    proxy.fail(SETTINGS, 404, ALWAYS, body=body)
    with reader(proxy.kubeconfig()) as live:
        batch = live.fetch(WANTS)
    assert not batch.absent
    assert [gap.name for gap in batch.gaps] == ["settings"]


@pytest.mark.parametrize("path", [SERVICE_LIST, "/services.*continue"])
def test_a_404_for_what_the_server_says_it_serves_is_a_gap(proxy: FaultProxy, path: str) -> None:
    proxy.fail(path, 404, ALWAYS)
    batch = read(proxy.kubeconfig(), ASKED, chunk_size=5)
    assert "404" in reason(batch)


# --- values of a wrong type in discovery ----------------------------------------------------------


class Told:
    """A connection that has these documents."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self._documents = documents

    def ask(self, path: str, form: decode.Form[Any], **_: Any) -> Any:
        body = bytearray(json.dumps(self._documents[path]).encode())
        return connection._content(connection._Answer(200, {}, body), path, form.decode)


def documents(filled: ControlPlane, *, aggregated: bool) -> dict[str, Any]:
    """What the server tells of itself, in its present form or in that of before 1.26."""
    if aggregated:
        found = access.resolve(access.Flags(kubeconfig=str(filled.kubeconfig)))
        with closing(Connection(found, deadline=Deadline())) as link:
            return {
                root: json.loads(link.get(root, accept=discovery.AGGREGATED))
                for root in ("/api", "/apis")
            }
    paths = ["/api", "/apis", "/api/v1"]
    told = {path: filled.client.request("GET", path).json() for path in paths}
    ours = {kind.group for kind in READINGS}
    told["/apis"]["groups"] = [g for g in told["/apis"]["groups"] if g["name"] in ours]
    for group in told["/apis"]["groups"]:
        for version in group["versions"]:
            path = f"/apis/{version['groupVersion']}"
            told[path] = filled.client.request("GET", path).json()
    return told


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@pytest.mark.parametrize("aggregated", [True, False])
def test_no_type_in_discovery_hides_a_kind_in_silence(
    filled: ControlPlane, *, aggregated: bool
) -> None:
    true = documents(filled, aggregated=aggregated)
    served = discovery.discover(Told(true), READINGS).served.keys()  # type: ignore[arg-type]
    assert len(served) > 50
    choice = random.Random(7)
    for _ in range(400):
        told = copy.deepcopy(true)
        container, key = choice.choice(list(places(told[choice.choice(list(told))])))
        before = container[key]
        other: Any = choice.choice([None, 7, True, "", [], {}, [None], {"a": []}, [[]], ["x"]])
        if type(other) is type(before) or (other is None and isinstance(before, list)):
            continue  # that would be an answer of the right form, which says something else
        container[key] = other
        try:
            found = discovery.discover(Told(told), READINGS)  # type: ignore[arg-type]
        except connection.Trouble:
            continue
        hidden = served - found.served.keys() - {gap.kind for gap in found.gaps}
        assert not hidden, (key, before, other)
