"""Lines of logs, addresses, and the doors of the entry: how each is read."""

from __future__ import annotations

import json

import casefile
import hpack
import pytest

from gwdoctor.catalogue import catalogue
from gwdoctor.evidence import access_log, doors, pod_logs, signatures
from gwdoctor.source import http2

TEXT = (
    '[2026-11-21T11:59:00.000Z] "GET /a?token=SECRET HTTP/2" 503 UF,URX '
    "upstream_reset_before_response_started{connection_termination} - "
    '"TLS_error:|268435703:WRONG_VERSION_NUMBER:TLS_error_end" 0 91 12 - "10.0.0.9" '
    '"Mozilla/5.0 (X11) " 404 NR route_not_found" "c1" "shop.example.com:443" "10.0.0.20:8443" '
    "outbound|8443||shop.shop.svc.cluster.local 10.0.2.10:4 10.0.2.10:8443 10.0.0.9:52001 "
    "shop.example.com default"
)
JSON = {
    "method": "GET",
    "x-envoy-origin-path": "/a?token=SECRET",
    "protocol": "HTTP/2",
    "response_code": 503,
    "response_flags": "UF,URX",
    "response_code_details": "upstream_reset_before_response_started{connection_termination}",
    "upstream_transport_failure_reason": "TLS_error:|268435703:WRONG_VERSION_NUMBER:TLS_error_end",
    ":authority": "shop.example.com:443",
    "upstream_host": "10.0.0.20:8443",
    "upstream_cluster": "outbound|8443||shop.shop.svc.cluster.local",
    "downstream_local_address": "10.0.2.10:8443",
    "downstream_remote_address": "10.0.0.9:52001",
    "requested_server_name": "shop.example.com",
    "route_name": "default",
    "user-agent": "SECRET",
    "authorization": "SECRET",
}


def test_both_formats_of_envoy_tell_the_same() -> None:
    text, as_json = access_log.read(TEXT), access_log.read(json.dumps(JSON))

    assert text == as_json
    assert text is not None
    assert text.flags == {"UF", "URX"}
    assert (text.host, text.code, text.path) == ("shop.example.com", 503, "/a")


def test_what_is_kept_of_a_request_reads_the_same_and_holds_no_secret() -> None:
    request = access_log.read(json.dumps(JSON))
    assert request is not None

    kept = access_log.kept(request)

    assert access_log.read(kept) == request
    assert "SECRET" not in kept + str(request)


@pytest.mark.parametrize(
    "line",
    [
        "", "{}", "[1]", "{", "null", '{"response_code": null}', '{"response_code": []}',
        '{"response_code":1,"authority":7,"response_flags":[]}', "plain words", "[x]", '[x] "a b c" 1',
    ],
)  # fmt: skip
def test_what_is_no_access_log_harms_nothing(line: str) -> None:
    for kind in (signatures.GATEWAY, signatures.SIDECAR, signatures.KONG):
        assert signatures.match(line, kind) is None


def test_lines_of_one_meaning_are_counted_and_the_last_is_kept() -> None:
    line = '{"response_code":503,"upstream_cluster":"PassthroughCluster","upstream_host":"%s"}'
    log = "\n".join(
        f"2026-11-21T11:5{minute}:00.123456789Z {line % host}"
        for minute, host in enumerate(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"])
    )

    kept = pod_logs.lines(log.encode(), signatures.SIDECAR)

    assert [(each.count, each.last) for each in kept] == [
        (2, "2026-11-21T11:52:00Z"),
        (1, "2026-11-21T11:51:00Z"),
    ]


def test_of_many_different_lines_only_so_many_are_kept() -> None:
    line = '{"response_code":503,"upstream_cluster":"PassthroughCluster","upstream_host":"10.0.0.1:%d"}'

    kept = pod_logs.lines(
        "\n".join(line % port for port in range(500)).encode(), signatures.SIDECAR
    )

    assert len(kept) == pod_logs.MOST


def test_every_signature_can_be_judged() -> None:
    names = [signature.name for signature in signatures.SIGNATURES]

    assert len(set(names)) == len(names)
    for signature in signatures.SIGNATURES:
        assert (signature.pattern is None) != (signature.asks is None), signature.name
        assert set(signature.proves) <= set(catalogue()), signature.name
        assert signature.advice or not signature.alone, signature.name
        assert not signature.consequence.endswith("."), signature.name


@pytest.mark.parametrize("signature", ["istio", "tls", "kong", "service"])
def test_what_observations_prove_exists(signature: str) -> None:
    import importlib

    for name, attribute in (
        ("tls.served_certificate_differs", "_OF_THE_SAME"),
        ("tls.served_certificate_differs", "_OF_ANOTHER"),
        ("tls.handshake_fails", "_CAUSES"),
        ("kong.backend_speaks_otherwise", "_GUESSES"),
    ):
        if name.startswith(signature):
            module = importlib.import_module(f"gwdoctor.checks.{name}")
            assert set(getattr(module, attribute)) <= set(catalogue())


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("shop.example.com", "shop.example.com"),
        ("*.example.com", "gwdoctor-probe.example.com"),
        ("*", ""),
        ("", ""),
        ("Shop.Example.com.", "shop.example.com"),
        ("a b", None),
        ("x" * 300, None),
        ("evil\r\nHost: x", None),
        ("-x.example.com", None),
    ],
)
def test_what_a_client_asks_for(host: str, name: str | None) -> None:
    assert doors.sni(host) == name


def answered(*frames: bytes) -> int:
    """The status of an answer that comes in these pieces."""
    pieces = iter([*frames, b""])
    return http2.head("a.example.com", lambda _: None, lambda: next(pieces))


def frame(kind: int, payload: bytes, flags: int = 4, stream: int = 1) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (b"\x88", 200),
        (b"\x8d\x40\x01a\x01b", 404),
        (b"\x3f\xe1\x1f\x8d", 0),  # a size in more than one byte: read as far as it goes
        (b"\x20\x8d", 404),
        (b"\x48\x03421", 421),
        (b"\x48\x82\x64\x02", 302),  # RFC 7541 C.6.1
        (b"\x48\x83\x64\x0e\xff", 307),  # RFC 7541 C.6.2
        (b"\x08\x03301", 301),
        (b"", 0),
        (b"\xff", 0),
        (b"\x48\x03abc", 0),
        (b"\x48", 0),
    ],
)
def test_the_status_of_an_http2_answer(block: bytes, status: int) -> None:
    assert answered(frame(4, b"", 0, 0) + frame(1, block)) == status


@pytest.mark.parametrize("huffman", [True, False])
def test_every_status_that_another_library_writes_is_read(huffman: bool) -> None:
    for status in range(100, 600):
        head = [(":status", str(status)), ("server", "envoy"), ("date", "x")]
        assert answered(frame(1, hpack.Encoder().encode(head, huffman=huffman))) == status


def test_padding_and_pieces_do_not_matter() -> None:
    whole = frame(4, b"", 0, 0) + frame(6, b"12345678", 0, 0) + frame(1, b"\x03\x8d\0\0\0", 4 | 8)

    assert answered(whole) == 404
    assert answered(*(whole[i : i + 1] for i in range(len(whole)))) == 404
    assert answered(frame(1, b"\0\0\0\0\x10\x8d", 4 | 0x20)) == 404


@pytest.mark.parametrize(
    "pieces", [(), (b"HTTP/1.1 400",), (frame(7, b""),), (frame(3, b""),), (b"\xff" * 30,)]
)
def test_no_http2_answer(pieces: tuple[bytes, ...]) -> None:
    assert answered(*pieces) == 0


ENTRY = """
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: istio-ingress}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports: [{name: https, port: 443, targetPort: 8443}]
status: {loadBalancer: {ingress: [{hostname: lb.example.net}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway-1, namespace: istio-ingress, labels: {istio: ingressgateway}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [web.example.com, "*.shop.example.com"]
    tls: {mode: SIMPLE, credentialName: web}
  - port: {number: 444, name: tls, protocol: TLS}
    hosts: [pass.example.com]
    tls: {mode: PASSTHROUGH}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  gatewayClassName: eg
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: api.example.com, tls: {certificateRefs: [{name: api}]}}
status: {addresses: [{type: IPAddress, value: 203.0.113.7}]}
---
apiVersion: v1
kind: Service
metadata: {name: kong-proxy, namespace: kong}
spec:
  type: NodePort
  selector: {app: kong}
  ports: [{name: tls, port: 443, targetPort: proxy-tls, nodePort: 30443}]
---
apiVersion: v1
kind: Pod
metadata: {name: kong-1, namespace: kong, labels: {app: kong}}
spec: {containers: [{name: proxy, image: "kong:3.9", ports: [{name: proxy-tls, containerPort: 8443}]}]}
status: {hostIP: 10.9.0.1}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kong}
spec: {controller: ingress-controllers.konghq.com/kong}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: pay, namespace: pay}
spec:
  ingressClassName: kong
  tls: [{hosts: [pay.example.com], secretName: pay}, {secretName: whatever}]
---
apiVersion: v1
kind: Pod
metadata:
  name: envoy-1
  namespace: envoy-gateway-system
  labels: {gateway.envoyproxy.io/owning-gateway-name: edge, gateway.envoyproxy.io/owning-gateway-namespace: edge}
"""


def test_every_host_that_ends_tls_has_its_door() -> None:
    cluster = casefile.cluster_of(casefile.documents(ENTRY))

    found = {
        door.host: (*map(str, door.addresses), *map(str, door.pods))
        for door in doors.doors(cluster)
    }

    assert found == {
        "web.example.com": ("lb.example.net port 443", "Pod istio-ingress/gateway-1 port 8443"),
        "gwdoctor-probe.shop.example.com": (
            "lb.example.net port 443",
            "Pod istio-ingress/gateway-1 port 8443",
        ),
        "pay.example.com": ("10.9.0.1 port 30443", "Pod kong/kong-1 port 8443"),
        "api.example.com": ("203.0.113.7 port 443", "Pod envoy-gateway-system/envoy-1 port 10443"),
    }
