"""A walk costs next to nothing beside the scan that it needs: 5,000 routes of four systems."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import casefile
import certs
import pytest

from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.walk import request, standing, walks

ROUTES = 5000


def manifests(routes: int = ROUTES) -> Iterator[dict[str, Any]]:
    """Routes of Envoy Gateway, Istio, Kong and ingress-nginx in turn, each with its Service."""
    api = "gateway.networking.k8s.io/v1"
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    yield {
        "apiVersion": api,
        "kind": "GatewayClass",
        "metadata": {"name": "eg"},
        "spec": {"controllerName": controller},
    }
    for name, kong in (
        ("kong", "ingress-controllers.konghq.com/kong"),
        ("nginx", "k8s.io/ingress-nginx"),
    ):
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": name},
            "spec": {"controller": kong},
        }
    tls = {"certificateRefs": [{"name": "wildcard"}]}
    everywhere = {"namespaces": {"from": "All"}}
    listener = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}
    yield {
        "apiVersion": api,
        "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": "edge"},
        "spec": {
            "gatewayClassName": "eg",
            "listeners": [{**listener, "allowedRoutes": everywhere}],
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "wildcard", "namespace": "edge"},
        "type": "kubernetes.io/tls",
        "data": certs.secret_data(certs.NOW, dns=["*.example.com"], days=70),
    }
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "tls": {"mode": "SIMPLE", "credentialName": "wildcard"},
        "hosts": ["*.example.com"],
    }
    yield {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "mesh", "namespace": "edge"},
        "spec": {"selector": {"istio": "edge"}, "servers": [server]},
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "router",
            "namespace": "edge",
            "labels": {"istio": "edge"},
            "annotations": {"inject.istio.io/templates": "gateway"},
        },
        "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "router"]}]},
    }
    for number in range(routes):
        yield from _route(number)


def _route(number: int) -> Iterator[dict[str, Any]]:
    space, name, host = f"team-{number % 50}", f"web-{number}", f"web-{number}.example.com"
    meta = {"name": name, "namespace": space}
    match number % 4:
        case 0:
            reference = {"name": "edge", "namespace": "edge"}
            rule = {
                "matches": [{"path": {"value": "/"}}],
                "backendRefs": [{"name": name, "port": 80}],
            }
            yield {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": meta,
                "spec": {"parentRefs": [reference], "hostnames": [host], "rules": [rule]},
            }
        case 1:
            destination = {"host": f"{name}.{space}.svc.cluster.local", "port": {"number": 80}}
            yield {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": meta,
                "spec": {
                    "hosts": [host],
                    "gateways": ["edge/mesh"],
                    "http": [{"route": [{"destination": destination}]}],
                },
            }
        case other:
            backend = {"service": {"name": name, "port": {"number": 80}}}
            path = {"path": "/", "pathType": "Prefix", "backend": backend}
            yield {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": meta,
                "spec": {
                    "ingressClassName": "kong" if other == 2 else "nginx",
                    "rules": [{"host": host, "http": {"paths": [path]}}],
                },
            }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**meta, "labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 8080}]}]},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [4000, 4001, 4002, 4003], ids=["gateway-api", "istio", "kong", "nginx"]
)
def test_a_walk_is_a_small_part_of_its_scan(number: int) -> None:
    cluster = casefile.cluster_of(manifests())
    probes = list(catalogue().values())
    gc.collect()
    gc.freeze()  # as the command does: what was read stays

    started = time.process_time()
    report = scan(cluster, probes)
    scanned = time.process_time() - started
    started = time.process_time()
    walk = walks.walk(request.asked(f"https://web-{number}.example.com/"), cluster)
    standing.attach(walk, report.findings)
    walked = time.process_time() - started
    gc.unfreeze()

    assert walk.is_answered
    assert any(hop.what == "endpoints" for hop in walk.all_hops())
    print(f"scan {scanned:.2f} s, walk {walked:.3f} s")
    assert walked < scanned / 4
