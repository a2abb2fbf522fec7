"""The fault proxy: what it promises to the tests of the reader."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from testbed import ControlPlane, FaultProxy, kubeconfig
from testbed.client import Client

PATH = "/api/v1/configmaps"
OBJECTS = 50


@pytest.fixture(scope="module")
def filled(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane with enough ConfigMaps for a body worth breaking."""
    control_plane.reset()
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"filler-{number}", "namespace": "gwdoctor-test-faults"},
            "data": {"text": "x" * 4000},
        }
        for number in range(OBJECTS)
    )
    yield control_plane
    control_plane.reset()


@pytest.fixture
def client(proxy: FaultProxy, filled: ControlPlane) -> Iterator[Client]:
    connected = Client(proxy.url, ca_file=proxy.ca_file, token=filled.token())
    yield connected
    connected.close()


def test_without_rules_it_changes_nothing_and_counts(
    proxy: FaultProxy, client: Client, filled: ControlPlane
) -> None:
    direct = filled.client.request("GET", PATH)
    through = client.request("GET", PATH)

    assert through == direct
    (exchange,) = proxy.requests
    assert (exchange.method, exchange.target, exchange.status) == ("GET", PATH, 200)
    assert exchange.size == len(direct.body)
    assert proxy.items_served("/configmaps") == len(direct.json()["items"]) > OBJECTS


def test_what_the_client_has_is_counted_already(proxy: FaultProxy, client: Client) -> None:
    for number in range(1, 30):
        client.request("GET", "/version")

        assert proxy.count("/version") == number


def test_pages_are_told_apart_by_the_query(proxy: FaultProxy, client: Client) -> None:
    first = client.request("GET", PATH, query={"limit": "20"}).json()
    rest = {"limit": "500", "continue": first["metadata"]["continue"]}
    proxy.fail("continue=", status=410)

    assert client.request("GET", PATH, query=rest).json()["reason"] == "Expired"
    assert client.request("GET", PATH, query=rest).ok, "once only"
    assert [each.items for each in proxy.requests][:2] == [20, None]
    assert proxy.count("continue=") == 2


def test_writes_pass_with_their_bodies(proxy: FaultProxy, client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written"}}

    answer = client.request("POST", "/api/v1/namespaces/default/configmaps", body)

    assert answer.status == 201
    assert client.request("DELETE", "/api/v1/namespaces/default/configmaps/written").ok


def test_a_failure_has_status_headers_and_body_as_asked(proxy: FaultProxy, client: Client) -> None:
    proxy.fail(PATH, status=403, times=2)
    proxy.fail(PATH, status=429, headers={"Retry-After": "1"}, body=b"busy")

    assert [client.request("GET", PATH).json()["reason"] for _ in range(2)] == ["Forbidden"] * 2
    started = time.monotonic()
    assert client.request("GET", PATH).ok, "our client comes again after a second"
    assert time.monotonic() - started > 0.9
    assert [each.status for each in proxy.requests] == [403, 403, 429, 200]


def test_a_failure_can_be_for_one_method(proxy: FaultProxy, client: Client) -> None:
    proxy.fail(".", status=503, times=None, method="POST")

    assert client.request("GET", PATH).ok
    assert client.request("POST", PATH, {}).status == 503


def test_a_connection_is_reset_in_mid_body(proxy: FaultProxy, client: Client) -> None:
    proxy.reset_after(PATH, 10_000)

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", PATH)

    assert proxy.requests[0].size == 10_000
    assert client.request("GET", PATH).ok


def test_a_reset_is_a_reset_on_the_wire(proxy: FaultProxy, filled: ControlPlane) -> None:
    proxy.reset_after("/version", 10)

    got, error = _got_from_the_socket(proxy, "/version", filled.token())

    assert got.startswith(b"HTTP/1.1 200 OK")
    assert isinstance(error, ConnectionResetError)
    assert proxy.requests[0].size == 10


def _got_from_the_socket(proxy: FaultProxy, path: str, token: str) -> tuple[bytes, OSError | None]:
    """What arrives, and how it ends. Python's own TLS socket takes a reset for an end of file."""
    context = ssl.create_default_context(cafile=str(proxy.ca_file))
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(arrived, leaving, server_hostname="127.0.0.1")
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    got, asked = b"", False
    with socket.create_connection(("127.0.0.1", int(proxy.url.rsplit(":", 1)[1]))) as connection:
        while True:
            try:
                if asked:
                    got += tls.read()
                else:
                    tls.do_handshake()
                    tls.write(request.encode())
                    asked = True
            except ssl.SSLWantReadError:
                connection.sendall(leaving.read())
                try:
                    block = connection.recv(65536)
                except OSError as error:
                    return got, error
                if not block:
                    return got, None
                arrived.write(block)


def test_a_body_ends_too_early(proxy: FaultProxy, client: Client) -> None:
    proxy.truncate_after(PATH, 10_000)

    with pytest.raises(urllib3.exceptions.ProtocolError) as ended:
        client.request("GET", PATH)

    assert "reset" not in str(ended.value)
    assert proxy.requests[0].size == 10_000


def test_a_body_is_corrupted(proxy: FaultProxy, client: Client, filled: ControlPlane) -> None:
    whole = filled.client.request("GET", PATH).body
    proxy.corrupt(PATH, 30_000)

    harmed = client.request("GET", PATH).body

    assert len(harmed) == len(whole)
    assert (harmed[:30_000], harmed[30_016:]) == (whole[:30_000], whole[30_016:])
    assert all(a != b for a, b in zip(harmed[30_000:30_016], whole[30_000:30_016], strict=True))
    assert proxy.requests[0].items is None


def test_an_answer_is_late(proxy: FaultProxy, client: Client) -> None:
    proxy.delay(PATH, 0.5)
    proxy.fail(PATH, status=500)

    started = time.monotonic()

    assert client.request("GET", PATH).json()["reason"] == "InternalError"
    assert time.monotonic() - started > 0.4


def test_a_body_drips(proxy: FaultProxy, client: Client) -> None:
    proxy.drip(PATH, 100_000)

    started = time.monotonic()
    size = len(client.request("GET", PATH).body)

    assert time.monotonic() - started > size / 100_000 * 0.8


def test_a_body_never_ends(proxy: FaultProxy, filled: ControlPlane) -> None:
    proxy.endless(PATH)
    headers = {"Authorization": f"Bearer {filled.token()}"}
    with urllib3.PoolManager(ca_certs=str(proxy.ca_file), retries=False) as pool:
        response = pool.request("GET", f"{proxy.url}{PATH}", headers=headers, preload_content=False)
        start = response.read(400_000)
        response.close()

    assert len(start) == 400_000
    assert start.endswith(b" " * 1000)


def test_compressed_lists_are_counted_as_well(proxy: FaultProxy, filled: ControlPlane) -> None:
    headers = {"Authorization": f"Bearer {filled.token()}", "Accept-Encoding": "gzip"}
    with urllib3.PoolManager(ca_certs=str(proxy.ca_file), retries=False) as pool:
        answer = pool.request(
            "GET", f"{proxy.url}{PATH}?limit=500", headers=headers, decode_content=False
        )

    assert len(json.loads(gzip.decompress(answer.data))["items"]) == proxy.items_served()
    assert proxy.bytes_served() == len(answer.data)


def test_many_at_a_time(proxy: FaultProxy, client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.request("GET", PATH).status, range(40)))

    assert answers == [200] * 40
    assert proxy.count() == 40


def test_its_kubeconfig_leads_through_it(proxy: FaultProxy) -> None:
    through = kubeconfig.connect(proxy.kubeconfig("alice"))
    answer = through.client.request("GET", PATH)
    through.close()

    assert 'User "alice" cannot list resource "configmaps"' in answer.message
    assert proxy.count(PATH) == 1


def test_who_trusts_only_the_server_does_not_trust_the_proxy(
    proxy: FaultProxy, filled: ControlPlane
) -> None:
    wary = Client(proxy.url, ca_file=filled.ca_file, token=filled.token())

    with pytest.raises(urllib3.exceptions.SSLError):
        wary.request("GET", PATH)
    wary.close()
