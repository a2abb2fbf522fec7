"""Clusters of one awkward form each, and how the cost of checking them grows with their size.

In memory: what reading costs is measured by `hack/bench`. Each shape is made twice, the second time
of double size; checks that compare everything with everything take four times as long for it.
"""

from __future__ import annotations

import datetime
import gc
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gwdoctor.catalogue import catalogue
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.source import decode

Manifest = dict[str, Any]
Shape = Callable[[int], Iterator[Manifest]]

THEN = "2026-01-01T00:00:00Z"
GATEWAY_API, ISTIO = "gateway.networking.k8s.io", "networking.istio.io/v1"


@dataclass(frozen=True)
class Growth:
    """What the checks of a shape took, of half its size and of all of it."""

    shape: str
    size: int
    half_seconds: float
    seconds: float
    findings: int
    slowest: str  #: the check that took longest
    slowest_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long as the half: 2 is linear, 4 quadratic."""
        return self.seconds / self.half_seconds


def growth(name: str, size: int | None = None) -> Growth:
    """Check a shape of half its size, and whole; processor time."""
    make, usual = SHAPES[name]
    size = size or usual
    half, _, _ = _checked(make, size // 2)
    whole, timings, findings = _checked(make, size)
    slowest = max(timings, key=timings.__getitem__)
    return Growth(name, size, half, whole, findings, slowest, timings[slowest])


def _checked(make: Shape, size: int) -> tuple[float, Mapping[str, float], int]:
    cluster = Cluster([r for manifest in make(size) for r in decode.resources(manifest)])
    timings: dict[str, float] = {}
    gc.collect()
    started = time.process_time()
    report = scan(cluster, list(catalogue().values()), timings=timings)
    return time.process_time() - started, timings, len(report.findings)


# --- the shapes ----------------------------------------------------------------------------


def servers_with_overlapping_certificates(n: int) -> Iterator[Manifest]:
    """One gateway workload, as many servers, one wildcard certificate for all of them."""
    yield from _istio_gateway_workload()
    yield _secret("wild", "*.example.com")
    for i in range(n):
        host = f"h{i}.example.com"
        yield _gateway(f"g{i}", [_server(0, host, "wild")])
        yield _virtual_service(f"v{i}", host, f"istio-system/g{i}")


def wildcard_against_wildcard(n: int) -> Iterator[Manifest]:
    """Servers of wildcard hosts, each pair one below the other."""
    yield from _istio_gateway_workload()
    yield _secret("wild", "*.example.com", "*.s1.example.com")
    hosts = [f"*.s{i}.example.com" if i % 2 else f"*.a.s{i + 1}.example.com" for i in range(n)]
    yield _gateway("g", [_server(i, host, "wild") for i, host in enumerate(hosts)])
    for i, host in enumerate(hosts):
        yield _virtual_service(f"v{i}", host, "istio-system/g")


def names_in_one_certificate(n: int) -> Iterator[Manifest]:
    """One certificate with as many SANs, and a server for each."""
    yield from _istio_gateway_workload()
    hosts = [f"h{i}.example.com" for i in range(n)]
    yield _secret("many", *hosts)
    yield _gateway("g", [_server(i, host, "many") for i, host in enumerate(hosts)])


def routes_on_one_gateway(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes on one Gateway, fifty host names among them."""
    yield {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "eg"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    listener: Manifest = {"name": "http", "port": 80, "protocol": "HTTP"}
    spec = {"gatewayClassName": "eg", "listeners": [listener]}
    yield _object(f"{GATEWAY_API}/v1", "Gateway", "edge", spec)
    yield _web()
    for i in range(n):
        yield _http_route(f"r{i}", f"h{i % 50}.example.com", f"/p{i}", {"name": "web", "port": 80})


def grants_for_one_namespace(n: int) -> Iterator[Manifest]:
    """As many ReferenceGrants in one namespace, none of which permits any of as many routes."""
    yield from routes_on_one_gateway(0)
    for i in range(n):
        source = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": f"n{i}"}
        spec: Manifest = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
        yield _object(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", f"g{i}", spec, "other")
        backend = {"name": "web", "namespace": "other", "port": 80}
        yield _http_route(f"x{i}", f"x{i}.example.com", "/", backend)


def peer_authentications_in_one_namespace(n: int) -> Iterator[Manifest]:
    """As many policies and Pods; half of the policies select them all."""
    yield _web()
    for i in range(n):
        labels = {"app": "web"} | ({"v": str(i)} if i % 2 else {})
        mode = "STRICT" if i % 3 else "DISABLE"
        spec = {"selector": {"matchLabels": labels}, "mtls": {"mode": mode}}
        yield _object("security.istio.io/v1", "PeerAuthentication", f"p{i}", spec)
        pod = _object("v1", "Pod", f"pod{i}", {})
        pod["metadata"]["labels"] = {"app": "web", "v": str(i)}
        pod["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
        yield pod


def one_host_at_a_gateway(n: int) -> Iterator[Manifest]:
    """One host in as many VirtualServices of one Gateway."""
    yield from _istio_gateway_workload()
    yield _web()
    server = {
        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
        "hosts": ["shop.example.com"],
    }
    yield _gateway("g", [server])
    for i in range(n):
        yield _virtual_service(f"v{i}", "shop.example.com", "istio-system/g")


def one_host_in_the_mesh(n: int) -> Iterator[Manifest]:
    """One host in as many VirtualServices, each for the sidecars of its own namespace."""
    yield _web()
    for i in range(n):
        one = _virtual_service("web", "web.shop.svc.cluster.local", "mesh", f"n{i}")
        one["spec"]["exportTo"] = ["."]
        yield one


def destination_rules_for_one_host(n: int) -> Iterator[Manifest]:
    """As many DestinationRules that are merged, each with a policy and a subset."""
    yield _web()
    for i in range(n):
        subset = {"name": f"v{i}", "labels": {"v": str(i)}}
        policy = {"tls": {"mode": "ISTIO_MUTUAL"}, "connectionPool": {"tcp": {"maxConnections": i}}}
        spec = {"host": "web", "trafficPolicy": policy, "subsets": [subset]}
        yield _object(ISTIO, "DestinationRule", f"d{i}", spec)
        route = _virtual_service(f"v{i}", f"v{i}.example.com", "mesh")
        route["spec"]["http"][0]["route"][0]["destination"]["subset"] = f"v{i}"
        yield route


def listener_sets_of_few_gateways(n: int) -> Iterator[Manifest]:
    """As many ListenerSets at ten Gateways."""
    listener: Manifest = {"name": "http", "port": 80, "protocol": "HTTP"}
    for i in range(10):
        spec: Manifest = {"gatewayClassName": "eg", "listeners": [listener]}
        yield _object(f"{GATEWAY_API}/v1", "Gateway", f"edge{i}", spec)
    for i in range(n):
        spec = {
            "parentRef": {"name": f"edge{i % 10}"},
            "listeners": [{**listener, "hostname": f"h{i}.example.com"}],
        }
        yield _object(f"{GATEWAY_API}/v1", "ListenerSet", f"set{i}", spec)


def ingresses_of_one_host(n: int) -> Iterator[Manifest]:
    """As many Ingresses with a path each."""
    yield _web()
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    for i in range(n):
        path = {"path": f"/p{i}", "pathType": "Prefix", "backend": backend}
        rule = {"host": "shop.example.com", "http": {"paths": [path]}}
        spec = {"ingressClassName": "nginx", "rules": [rule]}
        yield _object("networking.k8s.io/v1", "Ingress", f"i{i}", spec)


def certificates_of_one_issuer(n: int) -> Iterator[Manifest]:
    """As many Certificates, two of them to a Secret."""
    yield _object("cert-manager.io/v1", "Issuer", "ca", {"selfSigned": {}})
    for i in range(n):
        spec = {
            "secretName": f"s{i // 2}",
            "dnsNames": [f"h{i}.example.com"],
            "issuerRef": {"name": "ca", "kind": "Issuer"},
        }
        yield _object("cert-manager.io/v1", "Certificate", f"c{i}", spec)


#: Each shape, and the size that a benchmark takes.
SHAPES: Mapping[str, tuple[Shape, int]] = {
    shape.__name__.replace("_", "-"): (shape, size)
    for shape, size in (
        (servers_with_overlapping_certificates, 5000),
        (wildcard_against_wildcard, 2000),
        (names_in_one_certificate, 1000),
        (routes_on_one_gateway, 10_000),
        (grants_for_one_namespace, 2000),
        (peer_authentications_in_one_namespace, 2000),
        (one_host_at_a_gateway, 3000),
        (one_host_in_the_mesh, 3000),
        (destination_rules_for_one_host, 2000),
        (listener_sets_of_few_gateways, 2000),
        (ingresses_of_one_host, 5000),
        (certificates_of_one_issuer, 5000),
    )
}


# --- their parts ---------------------------------------------------------------------------


def _object(
    version: str, kind: str, name: str, spec: Manifest, namespace: str = "shop"
) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": THEN}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _istio_gateway_workload() -> Iterator[Manifest]:
    pod = _object("v1", "Pod", "gateway", {}, "istio-system")
    pod["metadata"]["labels"] = {"istio": "ingressgateway"}
    yield pod


def _gateway(name: str, servers: list[Manifest]) -> Manifest:
    spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
    return _object(ISTIO, "Gateway", name, spec, "istio-system")


def _server(number: int, host: str, credential: str) -> Manifest:
    return {
        "port": {"number": 443, "name": f"https-{number}", "protocol": "HTTPS"},
        "hosts": [host],
        "tls": {"mode": "SIMPLE", "credentialName": credential},
    }


def _virtual_service(name: str, host: str, gateway: str, namespace: str = "shop") -> Manifest:
    destination = {"host": "web.shop.svc.cluster.local", "port": {"number": 80}}
    route = {
        "match": [{"uri": {"prefix": f"/{name}"}}],
        "route": [{"destination": destination}],
    }
    spec = {"hosts": [host], "gateways": [gateway], "http": [route]}
    return _object(ISTIO, "VirtualService", name, spec, namespace)


def _http_route(name: str, host: str, path: str, backend: Manifest) -> Manifest:
    match = {"path": {"type": "PathPrefix", "value": path}}
    spec = {
        "parentRefs": [{"name": "edge"}],
        "hostnames": [host],
        "rules": [{"matches": [match], "backendRefs": [backend]}],
    }
    return _object(f"{GATEWAY_API}/v1", "HTTPRoute", name, spec)


def _web() -> Manifest:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
    return _object("v1", "Service", "web", spec)


def _secret(name: str, *hosts: str) -> Manifest:
    certificate, key = _pair(hosts)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "istio-system", "creationTimestamp": THEN},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": b64encode(certificate).decode(), "tls.key": b64encode(key).decode()},
    }


@cache
def _pair(hosts: tuple[str, ...]) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shape")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
