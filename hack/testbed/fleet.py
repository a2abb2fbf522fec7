"""A large cluster, always the same: what reading one costs is measured on it.

A namespace has 164 objects: itself, 20 Services with an EndpointSlice, a VirtualService, a DestinationRule
and three pods each, 10 HTTPRoutes, a Gateway of either kind, and Secrets of all sorts. Sizes are those of
real life: pods with 40 environment variables and the managedFields of two writers, Helm's releases.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbed.cache import say
from testbed.client import Client, Manifest
from testbed.cluster import PREFIX, Cluster, Refused

SERVICES, REPLICAS, ROUTES = 20, 3, 10
TLS_SECRETS, OPAQUE_SECRETS, HELM_SECRETS = 3, 6, 2
OBJECTS = 164
"""Objects in a namespace of the fleet, the namespace among them."""

GATEWAY_API = "gateway.networking.k8s.io"
CLASS = f"{PREFIX}fleet"
CONTROLLER = "example.net/fleet"
CONNECTIONS = 16
THEN = "2026-01-01T00:00:00Z"


def load(cluster: Cluster, client: Client, namespaces: int) -> int:
    """Create the fleet and return the number of its objects; `client` has enough connections."""
    _create(cluster, client, gateway_class(), writer=CONTROLLER)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for count, _ in enumerate(
            pool.map(lambda n: _load_namespace(cluster, client, n), range(namespaces)), 1
        ):
            if count % 10 == 0:
                say(f"  {count} of {namespaces} namespaces")
    return 1 + namespaces * OBJECTS


def gateway_class() -> Manifest:
    """The class of the fleet's Gateways."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {"controllerName": CONTROLLER},
        "status": {"conditions": _conditions("Accepted")},
    }


def objects(number: int) -> Iterator[Manifest]:
    """The objects of one namespace, itself first."""
    namespace = f"{PREFIX}fleet-{number:03}"
    yield {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": f"team-{number % 17}"}},
    }
    yield from _gateways(namespace, number)
    for index in range(SERVICES):
        yield from _service(namespace, number, index)
    for index in range(ROUTES):
        yield _http_route(namespace, index)
    for index in range(TLS_SECRETS):
        yield _tls_secret(namespace, number, index)
    for index in range(OPAQUE_SECRETS):
        yield _secret(namespace, f"settings-{index}", "Opaque", {"token": _noise(f"{index}", 200)})
    for index in range(HELM_SECRETS):
        release = {"release": _noise(f"{namespace}-{index}", 370_000)}
        yield _secret(namespace, f"sh.helm.release.v1.web.v{index}", "helm.sh/release.v1", release)


def _load_namespace(cluster: Cluster, client: Client, number: int) -> None:
    for each in objects(number):
        _create(cluster, client, each, writer="kubelet" if each["kind"] == "Pod" else CONTROLLER)


def _create(cluster: Cluster, client: Client, wanted: Manifest, *, writer: str) -> None:
    """Create an object, unless it is there; its status is written as by `writer`."""
    resource = cluster.resource(wanted["apiVersion"], wanted["kind"])
    namespace, name = wanted["metadata"].get("namespace"), wanted["metadata"]["name"]
    status = wanted.pop("status", None)
    query = {"fieldManager": "fleet", "fieldValidation": "Strict"}
    answer = client.request("POST", resource.path(namespace), wanted, query=query)
    if status and answer.ok:
        answer = client.request(
            "PATCH",
            f"{resource.path(namespace, name)}/status",
            {"status": status},
            content_type="application/merge-patch+json",
            query={"fieldManager": writer},
        )
    if not answer.ok and answer.status != 409:
        raise Refused(f"{wanted['kind']} {name}", answer)


def _conditions(*types: str) -> list[Manifest]:
    """Conditions of a Gateway API controller that has nothing to complain about."""
    return [
        {
            "type": each,
            "status": "True",
            "reason": each,
            "message": "",
            "observedGeneration": 1,
            "lastTransitionTime": THEN,
        }
        for each in types
    ]


def _gateways(namespace: str, number: int) -> Iterator[Manifest]:
    host = f"{namespace}.example.com"
    yield {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "mesh-edge", "namespace": namespace},
        "spec": {
            "selector": {"istio": f"edge-{number}"},
            "servers": [
                {
                    "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                    "tls": {"mode": "SIMPLE", "credentialName": "certificate-0"},
                    "hosts": [f"mesh.{host}"],
                }
            ],
        },
    }
    yield {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": namespace},
        "spec": {
            "gatewayClassName": CLASS,
            "listeners": [
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "hostname": f"web.{host}",
                    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "certificate-1"}]},
                }
            ],
        },
        "status": {
            "conditions": _conditions("Accepted", "Programmed"),
            "listeners": [
                {
                    "name": "https",
                    "attachedRoutes": ROUTES,
                    "supportedKinds": [{"group": GATEWAY_API, "kind": "HTTPRoute"}],
                    "conditions": _conditions("Accepted", "Programmed", "ResolvedRefs"),
                }
            ],
        },
    }


def _service(namespace: str, number: int, index: int) -> Iterator[Manifest]:
    """A Service and what belongs to it; the first is the namespace's own gateway workload."""
    edge = index == 0
    name = f"backend-{index:02}"
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "fleet"}
    ports = {"http": (80, 8080)}
    if edge:
        labels["istio"] = f"edge-{number}"
        ports["https"] = (443, 8443)
    node = f"node-{number % 30}"
    addresses = [f"10.{number // 250}.{number % 250}.{index * 10 + n + 1}" for n in range(REPLICAS)]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"app": name},
            "ports": [
                {"name": port, "port": outside, "targetPort": inside, "appProtocol": port}
                for port, (outside, inside) in ports.items()
            ],
        },
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-x7k2p",
            "namespace": namespace,
            "labels": {**labels, "kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [
            {"name": port, "port": inside, "protocol": "TCP", "appProtocol": port}
            for port, (_, inside) in ports.items()
        ],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": node,
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{name}-{replica}"},
            }
            for replica, address in enumerate(addresses)
        ],
    }
    yield from _mesh_routing(namespace, name, labels, edge=edge)
    for replica, address in enumerate(addresses):
        metadata = {
            "name": f"{name}-{replica}",
            "namespace": namespace,
            "labels": {**labels, "version": f"v{min(replica, 1) + 1}"},
            "annotations": {
                "checksum/config": hashlib.sha256(f"{namespace}{index}".encode()).hexdigest(),
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "8080",
            },
        }
        container = "istio-proxy" if edge else "backend"
        yield _pod(metadata, node, address, container)


def _mesh_routing(
    namespace: str, name: str, labels: dict[str, str], *, edge: bool
) -> Iterator[Manifest]:
    """The VirtualService and the DestinationRule of a Service; the gateway's leads to the next."""
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    host = f"{name}.{namespace}.svc.cluster.local"
    target = f"backend-01.{namespace}.svc.cluster.local" if edge else host
    yield {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {
            "hosts": [f"mesh.{namespace}.example.com" if edge else host],
            "gateways": ["mesh-edge" if edge else "mesh"],
            "http": [
                {
                    "match": [{"uri": {"prefix": f"/{version}"}}],
                    "route": [
                        {"destination": {"host": target, "subset": version, "port": {"number": 80}}}
                    ],
                    "timeout": "5s",
                    "retries": {"attempts": 2, "perTryTimeout": "2s"},
                }
                for version in ("v1", "v2")
            ],
        },
    }
    yield {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": metadata,
        "spec": {
            "host": host,
            "trafficPolicy": {"connectionPool": {"http": {"http2MaxRequests": 1000}}},
            "subsets": [{"name": each, "labels": {"version": each}} for each in ("v1", "v2")],
        },
    }


def _pod(metadata: Manifest, node: str, address: str, container: str) -> Manifest:
    image = f"registry.example.com/fleet/{container}:1.2.3"
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": container,
                    "image": image,
                    "args": ["proxy", "router"] if container == "istio-proxy" else ["serve"],
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "env": list(_environment(str(metadata["name"]))),
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "readinessProbe": probe,
                    "livenessProbe": probe,
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": "192.0.2.1",
            "startTime": THEN,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": THEN}
                for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "containerStatuses": [
                {
                    "name": container,
                    "image": image,
                    "imageID": f"{image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}",
                    "containerID": f"containerd://{hashlib.sha256(address.encode()).hexdigest()}",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": THEN}},
                }
            ],
        },
    }


def _environment(pod: str) -> Iterator[Manifest]:
    for index in range(40):
        name = f"BACKEND_SETTING_NUMBER_{index:02}"
        if index % 4:
            yield {"name": name, "value": _noise(f"{pod}-{index}", 60)}
        else:
            key = {"name": "settings-0", "key": "token", "optional": True}
            yield {"name": name, "valueFrom": {"secretKeyRef": key}}


def _http_route(namespace: str, index: int) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{index:02}", "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "edge", "sectionName": "https"}],
            "hostnames": [f"web.{namespace}.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": f"/part-{index:02}"}}],
                    "backendRefs": [{"name": f"backend-{index + 1:02}", "port": 80}],
                }
            ],
        },
        "status": {
            "parents": [
                {
                    "parentRef": {
                        "group": GATEWAY_API,
                        "kind": "Gateway",
                        "name": "edge",
                        "sectionName": "https",
                    },
                    "controllerName": CONTROLLER,
                    "conditions": _conditions("Accepted", "ResolvedRefs"),
                }
            ]
        },
    }


def _tls_secret(namespace: str, number: int, index: int) -> Manifest:
    """A certificate that is the same in every run: key, serial number, dates and signature."""
    host = ("mesh", "web", "spare")[index]
    name = f"{host}.{namespace}.example.com"
    key = ec.derive_private_key(1 + number * TLS_SECRETS + index, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1 + number * TLS_SECRETS + index)
        .not_valid_before(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {"tls.crt": certificate.public_bytes(encoding).decode(), "tls.key": private.decode()}
    return _secret(namespace, f"certificate-{index}", "kubernetes.io/tls", content)


def _secret(namespace: str, name: str, kind: str, content: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in content.items()},
    }


def _noise(seed: str, length: int) -> str:
    """Text that looks random and never changes."""
    digest = hashlib.shake_256(seed.encode()).digest(length * 3 // 4 + 3)
    return base64.b64encode(digest).decode()[:length]
