"""`scan --probe` through the real API server: port-forwards end at a real Envoy, as if at a Pod."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certs
import pytest
import running_scene as running
import scenes
from behaviour import istio_listeners, real_envoy
from testbed import ControlPlane
from testbed.client import Manifest

from gwdoctor.source import rights

TLS = "tls/served-certificate-differs"
FAILS = "tls/handshake-fails"
BACKEND = "kong/backend-speaks-otherwise"
NOW = datetime.now(UTC).replace(microsecond=0)
OLD: dict[str, Any] = {"dns": ["pay.example.com"], "from": -85, "days": 5, "serial": 4095}
NEW: dict[str, Any] = {"dns": ["pay.example.com"], "from": -1, "days": 89, "serial": 4096}
FORWARD = ("--probe", "tls", "--probe-via", "port-forward")

#: Kong's proxy of document 004, and what its Ingress serves.
PROXY: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "kong-edge-proxy-77",
        "namespace": "kong-edge",
        "labels": {
            "app.kubernetes.io/name": "gateway",
            "app.kubernetes.io/component": "app",
            "app.kubernetes.io/instance": "kong-edge",
        },
    },
    "spec": {
        "containers": [
            {
                "name": "proxy",
                "image": "kong:3.6.1",
                "ports": [{"name": "proxy-tls", "containerPort": 8443}],
            }
        ]
    },
}


@pytest.fixture
def plane(control_plane: ControlPlane, kwok_node: str) -> Iterator[ControlPlane]:
    control_plane.reset()
    yield control_plane
    control_plane.reset()


def envoy_with(folder: Path, **certificate: Any) -> Any:
    """A real Envoy that serves this certificate."""
    pair = {
        "certificate_chain": {"inline_bytes": certs.secret_data(NOW, **certificate)["tls.crt"]},
        "private_key": {"inline_bytes": certs.secret_data(NOW, **certificate)["tls.key"]},
    }
    config = {
        "static_resources": {
            "listeners": [
                {
                    "name": "https",
                    "address": real_envoy.ANY_PORT,
                    "filter_chains": [
                        {
                            "transport_socket": {
                                "name": "envoy.transport_sockets.tls",
                                "typed_config": {
                                    "@type": f"{real_envoy.TYPES}.extensions.transport_sockets"
                                    ".tls.v3.DownstreamTlsContext",
                                    "common_tls_context": {
                                        "alpn_protocols": ["h2", "http/1.1"],
                                        "tls_certificates": [pair],
                                    },
                                },
                            },
                            "filters": [
                                real_envoy.connection_manager(
                                    "https",
                                    folder,
                                    route_config={"virtual_hosts": []},
                                )
                            ],
                        }
                    ],
                }
            ]
        }
    }
    return real_envoy.running(config, folder)


def forward(plane: ControlPlane, namespace: str, pod: str, ports: dict[int, int]) -> None:
    """Let the ports of a Pod lead to ports of this machine."""
    plane.apply(
        [
            {
                "apiVersion": "kwok.x-k8s.io/v1alpha1",
                "kind": "ClusterPortForward",
                "metadata": {"name": f"{namespace}-{pod}"},
                "spec": {
                    "selector": {"matchNamespaces": [namespace], "matchNames": [pod]},
                    "forwards": [
                        {"ports": [port], "target": {"address": "127.0.0.1", "port": here}}
                        for port, here in ports.items()
                    ],
                },
            }
        ]
    )
    time.sleep(1)  # kwok takes it up by a watch, and does not say when


def load(plane: ControlPlane, node: str, state: str, **secret: Any) -> None:
    """Document 004 with Kong's proxy; the Secret holds this certificate."""
    running.load(plane, node, "004_kong_certificate_not_renewed", state, PROXY)
    stored = plane.get("v1", "Secret", "pay-tls", "pay")
    plane.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    key: stored["metadata"][key]
                    for key in ("name", "namespace", "annotations")
                    if key in stored["metadata"]
                },
                "type": "kubernetes.io/tls",
                "data": certs.secret_data(NOW, **secret),
            }
        ]
    )


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server of one port, in threads."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Silent(socketserver.BaseRequestHandler):
    """Accepts, and says nothing."""

    def handle(self) -> None:
        self.request.settimeout(30)
        try:
            while self.request.recv(1000):
                pass
        except OSError:
            pass


class Plain(socketserver.BaseRequestHandler):
    """Speaks HTTP in clear text."""

    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def test_an_old_certificate_is_seen_and_proves_why(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "broken", **NEW)
    with envoy_with(tmp_path, **OLD) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        before = running.scan(plane)
        report = running.scan(plane, *FORWARD)

    ignored = running.finding(report, "kong/controller-ignores-secret-updates")
    assert running.finding(before, ignored["check"])["confidence"] == "likely"
    assert ignored["confidence"] == "certain"
    (quoted,) = ignored["evidence"]
    assert quoted["source"] == "handshake"
    for words in ("SNI pay.example.com", "serial fff,", "TLSv1.3, h2"):
        assert words in quoted["text"]


def test_an_old_certificate_is_a_finding_where_nothing_explains_it(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    with envoy_with(tmp_path, **OLD) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        report = running.scan(plane, *FORWARD)

    found = running.finding(report, TLS)
    assert [f["check"] for f in report["findings"]] == [TLS]
    assert (found["severity"], found["confidence"]) == ("high", "certain")
    assert "still shows the certificate of" in found["message"]
    assert (found["object"]["kind"], found["path"]) == ("Ingress", "/spec/tls/0/secretName")


def served(plane: ControlPlane, *more: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and the hops "served" of a walk to pay.example.com."""
    url = "https://pay.example.com/"
    command = [sys.executable, "-m", "gwdoctor", "why", url, *more, "-o", "json"]
    done = subprocess.run(
        [*command, "--kubeconfig", str(plane.kubeconfig)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    hops = [
        hop
        for step in json.loads(done.stdout)["steps"]
        for way in step["ways"]
        for hop in way["hops"]
        if hop["hop"] == "served"
    ]
    return done.returncode, hops


def test_a_walk_shows_the_certificate_that_is_served_beside_the_one_that_should_be(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    with envoy_with(tmp_path, **NEW) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})
        unasked = served(plane)
        same = served(plane, *FORWARD)
    with envoy_with(tmp_path, **OLD) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})
        old = served(plane, *FORWARD)

    assert unasked == (0, [])
    assert same[0] == 0
    assert [hop["state"] for hop in same[1]] == ["ok"]
    assert "pay.example.com, until" in same[1][0]["says"]
    assert old[0] == 1
    assert [hop["state"] for hop in old[1]] == ["degraded"]
    assert "not the one in the Secret" in old[1][0]["says"]


def test_of_the_same_certificate_nothing_is_said(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    with envoy_with(tmp_path, **NEW) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        report = running.scan(plane, *FORWARD)

    assert report["findings"] == []
    assert report["not_checked"] == []


def test_a_certificate_that_is_not_renewed_is_certain_where_it_is_served(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "broken", **OLD)
    with envoy_with(tmp_path, **OLD) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        report = running.scan(plane, *FORWARD)

    found = running.finding(report, "cert-manager/certificate-not-issued")
    assert found["confidence"] == "certain"
    assert [each["source"] for each in found["evidence"]] == ["handshake"]
    assert TLS not in {f["check"] for f in report["findings"]}


@pytest.mark.parametrize(
    ("handler", "words"),
    [(Silent, "says nothing"), (Plain, "in clear text: HTTP/1.1 400 Bad Request")],
)
def test_a_listener_that_does_not_shake_hands(
    plane: ControlPlane,
    kwok_node: str,
    handler: type[socketserver.BaseRequestHandler],
    words: str,
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    with listening(handler) as port:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: port})
        started = time.monotonic()

        report = running.scan(plane, *FORWARD)

    assert time.monotonic() - started < 15
    assert words in running.finding(report, FAILS)["message"]


def test_a_port_that_nobody_listens_on_is_not_checked(plane: ControlPlane, kwok_node: str) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: unused.getsockname()[1]})

        report = running.scan(plane, *FORWARD)

    assert report["findings"] == []
    (skip,) = report["not_checked"]
    assert "no handshake" in skip["reason"]


def test_403_is_not_checked_with_its_rule(plane: ControlPlane, kwok_node: str) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    plane.apply(running.reads_everything("alice"))

    report = running.scan(plane, *FORWARD, "--as", "alice")

    (rule,) = {str(skip["rbac"]) for skip in report["not_checked"]}
    assert "pods/portforward" in rule
    assert "'create', 'get'" in rule


@pytest.mark.parametrize(
    ("verbs", "is_enough"), [(("create", "get"), True), (("create",), False), (("get",), False)]
)
def test_the_rule_is_enough_and_no_more(
    plane: ControlPlane,
    kwok_node: str,
    tmp_path: Path,
    verbs: tuple[str, ...],
    is_enough: bool,
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    right = replace(rights.PORT_FORWARD, verbs=verbs)
    plane.apply(running.reads_everything("alice", right.rule))
    with envoy_with(tmp_path, **NEW) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        report = running.scan(plane, *FORWARD, "--as", "alice")

    assert (report["not_checked"] == []) is is_enough
    assert set(verbs) <= set(rights.PORT_FORWARD.verbs)


def test_addresses_of_the_status_are_asked_only_where_allowed(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    ingress = plane.get("networking.k8s.io/v1", "Ingress", "pay", "pay")
    ingress["metadata"].pop("managedFields", None)
    for address in ("127.0.0.1", "169.254.169.254"):
        ingress["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
        plane.apply([ingress], status=True)

        report = running.scan(plane, "--probe", "tls")
        (skip,) = report["not_checked"]
        assert "this machine" in skip["reason"] or "never connected to" in skip["reason"]

    report = running.scan(plane, "--probe", "tls", "--probe-allow", "169.254.0.0/16")
    (skip,) = report["not_checked"]
    assert "never connected to" in skip["reason"]


def test_a_listener_is_asked_at_the_address_of_its_gateway(
    plane: ControlPlane, tmp_path: Path
) -> None:
    with envoy_with(tmp_path, dns=["a.example.com"], serial=77) as envoy:
        plane.apply(
            gateway(envoy.listeners["https"][1], ["a.example.com", "*.b.example.com"]), status=True
        )

        report = running.scan(plane, "--probe", "tls", "--probe-allow", "127.0.0.0/8")

    told = [f for f in report["findings"] if f["check"] == TLS]
    assert [f["path"] for f in told] == ["/spec/listeners/1/tls/certificateRefs/0/name"]
    assert told[0]["severity"] == "critical"  # it does not cover the name
    assert "SNI gwdoctor-probe.b.example.com" in told[0]["message"]
    assert "shows the certificate of Secret gwdoctor-test-edge/tls-0" in told[0]["message"]


def gateway(port: int, hosts: list[str]) -> list[Manifest]:
    """A Gateway at this machine's address, each of whose listeners has a Secret."""
    listeners = [
        {
            "name": f"https-{number}",
            "port": port,
            "protocol": "HTTPS",
            "hostname": host,
            "tls": {"certificateRefs": [{"name": f"tls-{number}"}]},
        }
        for number, host in enumerate(hosts)
    ]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gwdoctor-test-edge"}},
        *(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"tls-{number}", "namespace": "gwdoctor-test-edge"},
                "type": "kubernetes.io/tls",
                "data": certs.secret_data(NOW, dns=[host], serial=77),
            }
            for number, host in enumerate(hosts)
        ),
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "eg"},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": "gwdoctor-test-edge"},
            "spec": {"gatewayClassName": "eg", "listeners": listeners},
            "status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]},
        },
    ]


@pytest.mark.parametrize(
    ("is_tls", "confidence"), [(True, "certain"), (False, None)], ids=["TLS", "clear text"]
)
def test_what_a_backend_speaks_proves_document_000_or_takes_it_back(
    plane: ControlPlane, kwok_node: str, tmp_path: Path, is_tls: bool, confidence: str | None
) -> None:
    running.load(plane, kwok_node, "000_kong_https_backend", "broken")
    with envoy_with(tmp_path, dns=["minio"]) as envoy, listening(Plain) as plain:
        port = envoy.listeners["https"][1] if is_tls else plain
        forward(plane, "minio", "minio-0", {9000: port, 9443: port})

        report = running.scan(plane, "--probe", "backends")

    told = {f["check"]: f for f in report["findings"]}
    assert BACKEND not in told
    if confidence:
        found = told["kong/upstream-protocol-missing"]
        assert found["confidence"] == confidence
        assert {each["source"] for each in found["evidence"]} == {"handshake"}
    else:
        assert "kong/upstream-protocol-missing" not in told
        assert {skip["check"] for skip in report["not_checked"]} == {
            "kong/upstream-protocol-missing"
        }
        assert all("taken back" in skip["reason"] for skip in report["not_checked"])


@pytest.mark.parametrize(
    ("shares", "confidence"), [(True, "certain"), (False, None)], ids=["overlap", "apart"]
)
def test_a_connection_is_reused_for_document_002(
    plane: ControlPlane, kwok_node: str, tmp_path: Path, shares: bool, confidence: str | None
) -> None:
    document = "002_istio_shared_certificate"
    objects = [o for o in scenes.manifests(document, "broken", NOW) if o["kind"] != "EnvoyFilter"]
    if not shares:
        own = {"authory-wildcard": "authory", "drawdb-wildcard": "drawdb"}
        for secret in (o for o in objects if o["kind"] == "Secret"):
            name = own[secret["metadata"]["name"]]
            secret["data"] = certs.secret_data(NOW, dns=[f"{name}.jiaxiu.example.com"])
    with real_envoy.running(istio_listeners.envoy_config(objects, tmp_path), tmp_path) as envoy:
        running.apply(plane, kwok_node, objects)
        pod = ("istio-ingress", "istio-ingressgateway-6b8d")
        forward(plane, *pod, {8443: envoy.listeners["443"][1]})

        report = running.scan(plane, *FORWARD)

    assert report["not_checked"] == []
    if confidence:
        found = running.finding(report, "istio/tls-server-overlap")
        assert found["confidence"] == confidence
        (quoted,) = found["evidence"]
        assert quoted["text"].endswith("on this connection is answered 404, on one of its own 200")
    else:
        assert report["findings"] == []


def test_nothing_is_probed_unasked(plane: ControlPlane, kwok_node: str) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    asked: list[bytes] = []

    class Witness(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(10))

    with listening(Witness) as port:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: port})

        running.scan(plane)
        running.scan(plane, "--logs")
        assert asked == []
        running.scan(plane, *FORWARD)
        assert asked


def test_what_may_not_be_read_is_told_and_costs_nothing(
    plane: ControlPlane, kwok_node: str
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    plane.apply(running.reads_everything("alice", without=("gateways", "pods", "secrets")))

    report = running.scan(plane, *FORWARD, "--logs", "--probe", "backends", "--as", "alice")

    assert report["findings"] == []
    reasons = {skip["reason"] for skip in report["not_checked"]}
    assert not [reason for reason in reasons if "failed" in reason]
    assert any("403" in reason for reason in reasons)


def test_the_role_that_rbac_prints_is_enough(
    plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    load(plane, kwok_node, "healthy", **NEW)
    printed = subprocess.run(
        [
            *(sys.executable, "-m", "gwdoctor", "rbac", "--secrets", "all"),
            *("--with", "logs,port-forward", "-o", "json"),
        ],
        capture_output=True,
        check=True,
    )
    (role,) = json.loads(printed.stdout)["items"]
    _, binding = running.reads_everything("alice")
    binding["roleRef"]["name"] = role["metadata"]["name"]
    plane.apply([role, binding])
    with envoy_with(tmp_path, **NEW) as envoy:
        forward(plane, "kong-edge", "kong-edge-proxy-77", {8443: envoy.listeners["https"][1]})

        report = running.scan(plane, *FORWARD, "--logs", "--as", "alice")

    assert not [skip for skip in report["not_checked"] if skip["rbac"]]
    assert report["findings"] == []
