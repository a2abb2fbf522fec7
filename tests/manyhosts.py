"""A cluster with very many hostnames, every other one broken: what a large report looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import casefile
import certs

from gwdoctor.catalogue import catalogue
from gwdoctor.cluster import Cluster
from gwdoctor.drawing import drawn
from gwdoctor.engine import scan
from gwdoctor.model import Report, Target

Manifest = dict[str, Any]
GATEWAY = "gateway.networking.k8s.io/v1"
ISTIO = "networking.istio.io/v1"
CERTIFICATES = 60


def cluster(hosts: int) -> Cluster:
    """A third each on Gateway API, Istio and Ingress; every other one leads to no Service."""
    return casefile.cluster_of([*_edges(hosts), *(m for n in range(hosts) for m in _host(n))])


def report(hosts: int) -> Report:
    """What all checks say of it, with the map."""
    picture = cluster(hosts)
    target = Target(context="prod-eu1", server="https://10.0.0.1:6443", user="alice")
    found = scan(picture, list(catalogue().values()), target=target)
    return replace(drawn(found, picture), time="2026-11-21T12:00:00Z")


def _object(version: str, kind: str, namespace: str, name: str, **body: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def _edges(hosts: int) -> Iterator[Manifest]:
    """What every hostname comes through."""
    yield _object(
        "networking.k8s.io/v1",
        "IngressClass",
        "",
        "nginx",
        spec={"controller": "k8s.io/ingress-nginx"},
    )
    yield _object(
        GATEWAY, "GatewayClass", "", "eg", spec={"controllerName": "example.com/controller"}
    )
    every = {"namespaces": {"from": "All"}}
    yield _object(
        GATEWAY,
        "Gateway",
        "infra",
        "edge",
        spec={
            "gatewayClassName": "eg",
            "listeners": [
                {
                    "name": f"http-{n}",
                    "port": 8000 + n,
                    "protocol": "HTTP",
                    "hostname": f"*.g{n}.example.com",
                    "allowedRoutes": every,
                }
                for n in range(20)
            ],
        },
    )
    names = [_name(n) for n in range(hosts) if n % 3 == 1]
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": names or ["*"]}
    yield _object(
        ISTIO,
        "Gateway",
        "istio-ingress",
        "edge",
        spec={"selector": {"istio": "ingress"}, "servers": [server]},
    )
    yield {
        **_object("v1", "Pod", "istio-ingress", "router-1"),
        "metadata": {
            "name": "router-1",
            "namespace": "istio-ingress",
            "labels": {"istio": "ingress"},
        },
    }
    yield _object(
        "v1",
        "Service",
        "istio-ingress",
        "router",
        spec={
            "selector": {"istio": "ingress"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    )
    for n in range(min(CERTIFICATES, hosts)):
        name = f"tls-{n}"
        data = certs.secret_data(certs.NOW, dns=[f"*.i{n}.example.com"], days=30 + n)
        yield _object("v1", "Secret", "apps", name, type="kubernetes.io/tls", data=data)


def _name(number: int) -> str:
    zone = f"g{number % 20}" if number % 3 == 0 else f"i{number % CERTIFICATES}"
    return f"app-{number}.{zone}.example.com"


def _host(number: int) -> Iterator[Manifest]:
    name, host = f"app-{number}", _name(number)
    target = name if number % 2 else f"lost-{number}"
    backend = {"name": target, "port": 8080}
    match number % 3:
        case 0:
            yield _object(
                GATEWAY,
                "HTTPRoute",
                "apps",
                name,
                spec={
                    "parentRefs": [{"name": "edge", "namespace": "infra"}],
                    "hostnames": [host],
                    "rules": [{"backendRefs": [backend]}],
                },
            )
        case 1:
            destination = {"host": f"{target}.apps.svc.cluster.local", "port": {"number": 8080}}
            yield _object(
                ISTIO,
                "VirtualService",
                "apps",
                name,
                spec={
                    "hosts": [host],
                    "gateways": ["istio-ingress/edge"],
                    "http": [{"route": [{"destination": destination}]}],
                },
            )
        case _:
            service = {"name": target, "port": {"number": 8080}}
            path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
            yield _object(
                "networking.k8s.io/v1",
                "Ingress",
                "apps",
                name,
                spec={
                    "ingressClassName": "nginx",
                    "rules": [{"host": host, "http": {"paths": [path]}}],
                    "tls": [{"hosts": [host], "secretName": f"tls-{number % CERTIFICATES}"}],
                },
            )
    yield _object(
        "v1",
        "Service",
        "apps",
        name,
        spec={"selector": {"app": name}, "ports": [{"name": "http", "port": 8080}]},
    )
    yield {
        **_object("discovery.k8s.io/v1", "EndpointSlice", "apps", f"{name}-1"),
        "metadata": {
            "name": f"{name}-1",
            "namespace": "apps",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080}],
    }
