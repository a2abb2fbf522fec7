"""`scan --logs` on the real API server: logs that kwok serves, as the kubelet would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import running_scene as running
from testbed import ControlPlane

KONG = ("kong", "kong-gateway-7d9f", "proxy")
PROMETHEUS = ("monitoring", "prometheus-0", "istio-proxy")
LABEL_PROXY = ("monitoring", "prom-label-proxy-6f7c", "istio-proxy")
ISTIO_GATEWAY = ("istio-ingress", "istio-ingressgateway-6b8d", "istio-proxy")
ENVOY_GATEWAY = ("envoy-gateway-system", "envoy-edge-gw-5b0b6bb1-7f", "envoy")

#: What all five have logged: what is normal, and what the failures of the documents leave there.
NOISE = [
    "2026/11/21 11:58:00 [warn] 1#0: *7 a client request body is buffered to a temporary file",
    '10.0.0.9 - - [21/Nov/2026:11:58:00 +0000] "GET /?token=SECRET HTTP/1.1" 200 5 "-" "curl"',
    '{"response_code":200,"response_flags":"-","upstream_host":"10.0.1.10:9090","path":"/a?k=SECRET"}',
]
FAILURES: dict[str, dict[tuple[str, str, str], list[str]]] = {
    "000_kong_https_backend": {
        KONG: [
            "2026/11/21 11:59:00 [error] 1#0: *9 readv() failed (104: Connection reset by peer) "
            "while reading upstream, client: 10.0.0.5, server: kong, "
            f'request: "GET /b{number}?X-Amz-Signature=SECRET HTTP/2.0", '
            'upstream: "http://10.0.0.20:9000/b?X-Amz-Signature=SECRET", '
            'host: "api.minio.example.com"'
            for number in range(3)
        ]
    },
    "001_istio_strict_mtls": {
        PROMETHEUS: [
            '[2026-11-21T11:59:00.000Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" '
            '"-" "-" "-" - - 10.0.1.10:9090 10.0.1.11:40022 - -'
        ],
        LABEL_PROXY: [
            '{"response_code":503,"response_flags":"UC","authority":"grafana.example.com",'
            '"path":"/api?token=SECRET","cookie":"SECRET","user_agent":"SECRET",'
            '"upstream_host":"10.0.1.10:9090","upstream_cluster":"PassthroughCluster"}'
        ],
    },
    "002_istio_shared_certificate": {
        ISTIO_GATEWAY: [
            '[2026-11-21T11:59:00.000Z] "GET /?k=SECRET HTTP/2" 404 NR route_not_found - "-" 0 0 0 '
            '- "10.0.0.9" "SECRET" "c1" "drawdb.jiaxiu.example.com" "-" - - 10.0.2.10:8443 '
            "10.0.0.9:52001 authory.jiaxiu.example.com -"
        ]
    },
    "003_envoy_gateway_nlb": {
        ENVOY_GATEWAY: [
            '{"response_code":301,"response_flags":"-","method":"GET","path":"/api",'
            '"protocol":"HTTP/1.1",":authority":"api.edge.example.com",'
            '"response_code_details":"direct_response","downstream_local_address":"10.0.3.10:10443",'
            '"route_name":"httproute/edge/ssl-redirect/rule/0/match/-1/api_edge_example_com"}'
        ]
    },
}
#: What each line proves.
PROVEN = {
    "000_kong_https_backend": {"kong/upstream-protocol-missing": ["readv() failed (104"]},
    "001_istio_strict_mtls": {
        "istio/proxy-keeps-host": ["filter_chain_not_found", "PassthroughCluster"],
        "istio/destination-rule-bypasses-strict-mtls": ["filter_chain_not_found"],
    },
    "002_istio_shared_certificate": {
        "istio/tls-server-overlap": ["sni=authory.jiaxiu.example.com"]
    },
    "003_envoy_gateway_nlb": {"aws/redirect-loop-behind-nlb": ["httproute/edge/ssl-redirect"]},
}


@pytest.fixture
def plane(control_plane: ControlPlane, kwok_node: str) -> Iterator[ControlPlane]:
    control_plane.reset()
    yield control_plane
    control_plane.reset()


@pytest.mark.parametrize("document", FAILURES)
def test_what_is_logged_makes_the_finding_certain(
    plane: ControlPlane, kwok_node: str, document: str, tmp_path: Path
) -> None:
    running.load(plane, kwok_node, document, "broken")
    logs = {where: [*NOISE, *lines] for where, lines in FAILURES[document].items()}
    running.write_logs(plane, tmp_path, logs)

    silent = running.scan(plane)
    report = running.scan(plane, "--logs")

    assert {f["id"] for f in report["findings"]} == {f["id"] for f in silent["findings"]}
    assert not [f for f in silent["findings"] if f["evidence"]]
    for check, words in PROVEN[document].items():
        found = running.finding(report, check)
        assert found["confidence"] == "certain", report["not_checked"]
        quoted = [each["text"] for each in found["evidence"]]
        assert all(any(word in text for text in quoted) for word in words), quoted
        assert "SECRET" not in str(found)
        assert all(each["source"] == "log" and each["last"] for each in found["evidence"])


@pytest.mark.parametrize("document", FAILURES)
def test_nothing_is_said_of_the_healthy_twin(
    plane: ControlPlane, kwok_node: str, document: str, tmp_path: Path
) -> None:
    running.load(plane, kwok_node, document, "healthy")
    running.write_logs(plane, tmp_path, dict.fromkeys(FAILURES[document], NOISE))

    report = running.scan(plane, "--logs")

    assert report["findings"] == []
    assert [s for s in report["not_checked"] if "log" in s["reason"] and "404" in s["reason"]] == []
