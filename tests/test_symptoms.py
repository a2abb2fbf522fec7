"""From a pasted error to the checks whose symptom it is."""

from __future__ import annotations

import time

import pytest

from gwdoctor import pages, symptoms
from gwdoctor.catalogue import catalogue


def checks(text: str) -> list[str]:
    return [one.check for one in symptoms.find(text, catalogue()).symptoms]


@pytest.mark.parametrize("name", catalogue())
def test_every_symptom_leads_to_its_check_and_stands_on_its_page(name: str) -> None:
    probe = catalogue()[name]

    for symptom in probe.symptoms:
        assert name in checks(symptom.replace("...", "anything at all"))
        assert f"- `{symptom}`" in pages.page(probe)
    assert len(set(probe.symptoms)) == len(probe.symptoms)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "2026/11/21 10:00:00 [error] 1#0: *7 readv() failed (104: Connection reset by peer) while "
            'reading upstream, client: 10.1.2.3, upstream: "http://10.0.0.20:9000/"',
            "kong/upstream-protocol-missing",
        ),
        (
            "READV() FAILED (110: connection reset by peer) while reading upstream",
            "kong/upstream-protocol-missing",
        ),
        (
            "<h1>client sent an http request to an https server.</h1>",
            "kong/upstream-protocol-missing",
        ),
        (
            'upstream SSL certificate does not match "minio.example.com" while SSL handshaking to '
            "upstream, client: 10.1.2.3",
            "kong/client-host-goes-upstream",
        ),
        (
            '[2026-11-21T10:00:00.000Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-"',
            "istio/destination-rule-bypasses-strict-mtls",
        ),
        (
            '"GET /q HTTP/1.1" 502 - via_upstream PassthroughCluster 10.0.0.1:9090',
            "istio/proxy-keeps-host",
        ),
        ('{"message":"no Route matched with those values"}', "kong/services-of-one-rule-disagree"),
        ("This site can't be reached: NET::ERR_CERT_COMMON_NAME_INVALID", "tls/host-not-covered"),
        ("net::err_cert_date_invalid", "tls/certificate-expired"),
        (
            "http: TLS handshake error from 10.0.0.1:40312: tls: first record does not look like a "
            "TLS handshake",
            "kong/upstream-protocol-missing",
        ),
        ("Get x: x509: certificate signed by unknown authority", "tls/chain-incomplete"),
        (
            "x509: certificate is valid for a.example.com, not b.example.com",
            "tls/host-not-covered",
        ),
        ("\x1b[31mERR_TOO_MANY_REDIRECTS\x1b[0m", "aws/redirect-loop-behind-nlb"),
        (
            "curl: (22) The requested URL returned error: 404",
            "istio/virtual-service-host-not-served",
        ),
        ("HTTP/2 421", "istio/misdirected-lua-answers-every-request"),
        ("HTTP/1.1 503 Service Unavailable", "service/no-ready-endpoint"),
        ("GET / 503 UH no_healthy_upstream", "service/selects-no-pod"),
        ("wrong version number", "istio/tls-origination-to-plain-port"),
    ],
)
def test_a_pasted_error_finds_its_check(text: str, expected: str) -> None:
    assert expected in checks(text)


def test_the_more_telling_symptom_comes_first() -> None:
    found = checks("readv() failed (104: Connection reset by peer) while reading upstream")

    assert found.index("kong/upstream-protocol-missing") < found.index(
        "aws/proxy-protocol-only-at-nlb"
    )


@pytest.mark.parametrize(
    "text",
    [
        "the quick brown fox",
        "404",  # says less than any symptom
        "connection",
        "no",
        "200 OK",
        "error",
    ],
)
def test_what_says_nothing_finds_nothing(text: str) -> None:
    assert checks(text) == []


def test_a_status_is_not_any_number() -> None:
    assert "service/no-ready-endpoint" not in checks("HTTP/1.1 404 Not Found")
    assert "istio/misdirected-lua-answers-every-request" not in checks("HTTP/2 404")
    assert "gateway-api/parent-missing" in checks("404 NR route_not_found")
    assert "gateway-api/parent-missing" not in checks("503 NR route_not_found")


def test_words_of_different_lines_are_no_symptom() -> None:
    assert "kong/upstream-protocol-missing" not in checks(
        "the client sent an HTTP request\nand then to an HTTPS server"
    )


def test_what_comes_near_is_listed_where_nothing_matches() -> None:
    found = symptoms.find("the certificate did expire", catalogue())

    assert not found.symptoms
    assert "tls/certificate-expired" in {one.check for one in found.nearest}
    assert len(found.nearest) <= 5


def test_a_long_log_does_not_take_long() -> None:
    text = '[2026-11-21] "GET /x HTTP/1.1" 200 - via_upstream - "-" 0 12 3 2 "-" "curl/8"\n' * 5000
    started = time.process_time()

    checks(text + "\x00" * 1000)

    assert time.process_time() - started < 5
