"""Document 002 on a real Envoy: what a reused HTTP/2 connection gets, before and after each fix.

A browser that has a connection to one host sends requests for another host over it when the server's
certificate covers both. The client here does the same, without the browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certs
import pytest
import scenes
from behaviour import raw_http
from behaviour.istio_listeners import envoy_config
from behaviour.printed_fixes import applied, findings, printed_fix
from behaviour.raw_http import Answer, Trust
from behaviour.real_envoy import RealEnvoy, running

from gwdoctor.catalogue import catalogue

pytestmark = pytest.mark.slow  # whole processes, again and again

Manifest = dict[str, Any]

DOCUMENT = "002_istio_shared_certificate"
OVERLAP = "istio/tls-server-overlap"
LUA = "istio/misdirected-lua-answers-every-request"

A, B = "authory.jiaxiu.example.com", "drawdb.jiaxiu.example.com"
SERVED_A, SERVED_B = Answer(200, "authory/authory"), Answer(200, "drawdb/drawdb")
NOT_FOUND = Answer(404, "")
MISDIRECTED = Answer(421, "Misdirected Request\n")

NOW = datetime.now(UTC).replace(microsecond=0)
AUTHORITY: Manifest = {"cn": "Test CA", "issuer": "self", "key": "ca-Test CA", "ca": True}


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """A client that trusts the authority of all certificates here and has one of its own."""
    folder = tmp_path_factory.mktemp("client")
    certificate, key = folder / "client.crt", folder / "client.key"
    certificate.write_bytes(certs.certificate_pem(NOW, dns=["client"], eku=["CLIENT_AUTH"]))
    key.write_bytes(certs.key_pem("leaf"))
    return Trust(certs.certificate_pem(NOW, **AUTHORITY), (certificate, key))


def scene(*, document_filter: bool, state: str = "broken") -> list[Manifest]:
    """The scene, with or without the document's own remedy, and with a plain listener beside it."""
    objects = scenes.manifests(DOCUMENT, state, NOW)
    gateway = next(each for each in objects if each["kind"] == "Gateway")
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    gateway["spec"]["servers"].append({"port": port, "hosts": [A]})
    return [each for each in objects if document_filter or each["kind"] != "EnvoyFilter"]


def one_secret() -> list[Manifest]:
    """The document's own case: both Gateways name the same Secret."""
    objects = scene(document_filter=False)
    _server_of_b(objects)["tls"]["credentialName"] = "authory-wildcard"
    return objects


def simple_and_mutual() -> list[Manifest]:
    """One Gateway asks for client certificates, which no entry can share with one that does not."""
    objects = scene(document_filter=False)
    _server_of_b(objects)["tls"]["mode"] = "MUTUAL"
    secret = next(each for each in objects if each["metadata"]["name"] == "drawdb-wildcard")
    secret["data"] = certs.secret_data(NOW, dns=["*.jiaxiu.example.com"], authority=AUTHORITY)
    return objects


def two_secrets() -> list[Manifest]:
    """The scene as it is: each team has a Secret of its own."""
    return scene(document_filter=False)


def _server_of_b(objects: Sequence[Manifest]) -> Manifest:
    server: Manifest
    (server,) = (
        server
        for each in objects
        if each["kind"] == "Gateway"
        for server in each["spec"]["servers"]
        if server["hosts"] == [B]
    )
    return server


@dataclass(frozen=True)
class GatewayPod:
    """The gateway Pod of a scene."""

    envoy: RealEnvoy
    trust: Trust

    def reusing(self, opened: str, *authorities: str) -> list[Answer]:
        """Requests over one HTTP/2 connection, as a browser would send them."""
        with raw_http.http2(self.envoy.listeners["443"], opened, self.trust) as connection:
            assert all(connection.may_be_reused_for(host) for host in (A, B))
            return [connection.get(authority) for authority in authorities]

    def over_http1(self, sni: str, host: str) -> Answer:
        """One HTTP/1.1 request over TLS."""
        return raw_http.https(self.envoy.listeners["443"], sni, host, self.trust)

    def in_clear(self, host: str) -> Answer:
        """One request to port 80."""
        return raw_http.plain(self.envoy.listeners["80"], host)

    def in_clear_over_http2(self, *authorities: str) -> list[Answer]:
        """Requests over one HTTP/2 connection to port 80."""
        with raw_http.http2_in_clear(self.envoy.listeners["80"]) as connection:
            return [connection.get(authority) for authority in authorities]


@contextmanager
def gateway_pod(objects: Sequence[Manifest], folder: Path, trust: Trust) -> Iterator[GatewayPod]:
    with running(envoy_config(objects, folder), folder) as envoy:
        yield GatewayPod(envoy, trust)


def test_a_reused_connection_is_answered_404(tmp_path: Path, trust: Trust) -> None:
    with gateway_pod(two_secrets(), tmp_path, trust) as pod:
        reused = pod.reusing(A, A, B, f"{A}:8443")
        other_way = pod.reusing(B, B, A)
        log = pod.envoy.requests(len(reused + other_way))

    assert reused == [SERVED_A, NOT_FOUND, SERVED_A]
    assert other_way == [SERVED_B, NOT_FOUND]
    # What the check tells people to look for is what the log says.
    (strays,) = {
        re.sub(r" connection=\d+", "", line) for line in log if f"sni={A}" in line and B in line
    }
    symptom = next(text for text in catalogue()[OVERLAP].symptoms if "route_not_found" in text)
    assert symptom == "404 NR route_not_found"
    assert f'HTTP/2" {symptom} authority={B} sni={A}' in strays


def test_the_printed_merge_serves_both_hosts_on_one_connection(
    tmp_path: Path, trust: Trust
) -> None:
    broken = one_secret()
    with gateway_pod(broken, tmp_path, trust) as pod:
        assert pod.reusing(A, A, B) == [SERVED_A, NOT_FOUND]

    merged = applied(broken, printed_fix(broken, OVERLAP, NOW))

    with gateway_pod(merged, tmp_path, trust) as pod:
        assert pod.reusing(A, A, B, f"{B}:443") == [SERVED_A, SERVED_B, SERVED_B]
        assert pod.reusing(B, B, A) == [SERVED_B, SERVED_A]
        assert pod.in_clear(A) == SERVED_A


def test_the_healthy_twin_serves_both_hosts_on_one_connection(tmp_path: Path, trust: Trust) -> None:
    with gateway_pod(scene(document_filter=False, state="healthy"), tmp_path, trust) as pod:
        assert pod.reusing(A, A, B) == [SERVED_A, SERVED_B]


@pytest.mark.parametrize("broken", [two_secrets, simple_and_mutual])
def test_the_printed_filter_answers_421_to_nothing_but_strays(
    broken: Callable[[], list[Manifest]], tmp_path: Path, trust: Trust
) -> None:
    objects = broken()
    with gateway_pod(objects, tmp_path, trust) as pod:
        assert pod.reusing(A, A, B) == [SERVED_A, NOT_FOUND]

    fix = printed_fix(objects, OVERLAP, NOW)
    assert [each["kind"] for each in fix["manifests"]] == ["EnvoyFilter"]

    with gateway_pod(applied(objects, fix), tmp_path, trust) as pod:
        assert pod.reusing(A, A, B, f"{A}:8443") == [SERVED_A, MISDIRECTED, SERVED_A]
        assert pod.reusing(B, B, A) == [SERVED_B, MISDIRECTED]
        assert_others_are_left_alone(pod)


def test_the_documents_own_filter_breaks_every_request(tmp_path: Path, trust: Trust) -> None:
    with gateway_pod(scene(document_filter=True), tmp_path, trust) as pod:
        answers = [
            *pod.reusing(A, A, B),
            *pod.reusing(B, B),
            pod.over_http1(A, A),
            pod.in_clear(A),
            *pod.in_clear_over_http2(A),
        ]
        log = pod.envoy.requests(len(answers))

    assert {answer.status for answer in answers} == {421}
    assert {line.split('" ')[1].split(" authority")[0] for line in log} == {"421 - lua_response"}


def test_the_documents_filter_is_mended_by_what_is_printed(tmp_path: Path, trust: Trust) -> None:
    objects = scene(document_filter=True)

    mended = applied(objects, printed_fix(objects, LUA, NOW))

    with gateway_pod(mended, tmp_path, trust) as pod:
        assert pod.reusing(A, A, B) == [SERVED_A, MISDIRECTED]
        assert_others_are_left_alone(pod)
    assert findings(mended, LUA, NOW) == []


def assert_others_are_left_alone(pod: GatewayPod) -> None:
    """Connections of their own, HTTP/1.1 and clear text get what they got without the filter."""
    assert pod.reusing(B, B) == [SERVED_B]
    assert pod.over_http1(A, A) == SERVED_A
    assert pod.over_http1(B, B) == SERVED_B
    assert pod.over_http1(A, B) == NOT_FOUND
    assert pod.in_clear(A) == SERVED_A
    assert pod.in_clear(B) == NOT_FOUND
    assert pod.in_clear_over_http2(A, B) == [SERVED_A, NOT_FOUND]
