"""A large cluster, always the same: what reading one costs is measured on it.

A namespace has 164 objects: itself, 20 Services with an EndpointSlice, a VirtualService, a DestinationRule
and three pods each, 10 HTTPRoutes, a Gateway of either kind, and Secrets of all sorts. Sizes are those of
real life: pods with 40 environment variables and the managedFields of two writers, Helm's releases.

The objects of two namespaces differ in texts of the same length only, so that the API server has to be
asked for those of one (`stamp.py` makes the others).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbed.cache import say
from testbed.client import Client, Manifest
from testbed.cluster import PREFIX, Cluster, Refused
from testbed.controlplane import ControlPlane
from testbed.etcd import Store
from testbed.stamp import Stamp

SERVICES, REPLICAS, ROUTES = 20, 3, 10
TLS_SECRETS, OPAQUE_SECRETS, HELM_SECRETS = 3, 6, 2
OBJECTS = 164
"""Objects in a namespace of the fleet, the namespace among them."""

GATEWAY_API = "gateway.networking.k8s.io"
CLASS = f"{PREFIX}fleet"
CONTROLLER = "example.net/fleet"
CONNECTIONS = 16
STAMPS = 4
THEN = "2026-01-01T00:00:00Z"


def grow(control_plane: ControlPlane, namespaces: int) -> int:
    """Let the fleet have so many namespaces and return the number of its objects.

    The API server makes those of the first; the others are made in its store, like the first.
    """
    post(control_plane, [0])
    store = Store(control_plane.etcd_endpoints[0])
    stamp = Stamp(store, name(0), list(objects(0)), list(objects(1)))
    there = store.keys()
    missing = [
        n for n in range(namespaces) if f"/registry/namespaces/{name(n)}".encode() not in there
    ]
    with ThreadPoolExecutor(STAMPS) as pool:
        for count, _ in enumerate(pool.map(lambda n: stamp.write(list(objects(n))), missing), 1):
            if count % 100 == 0:
                say(f"  {count} of {len(missing)} namespaces")
    store.close()
    return 1 + namespaces * OBJECTS


def post(control_plane: ControlPlane, numbers: Sequence[int]) -> None:
    """Have the API server make these namespaces and what is in them, one object at a time."""
    client = Client(
        control_plane.server,
        ca_file=control_plane.ca_file,
        token=control_plane.token(),
        connections=CONNECTIONS,
    )
    _create(control_plane, client, gateway_class())
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for number in numbers:
            namespace, *others = objects(number)
            _create(control_plane, client, namespace)
            for _ in pool.map(lambda each: _create(control_plane, client, each), others):
                pass
    client.close()


def name(number: int) -> str:
    """Of a namespace."""
    return f"{PREFIX}fleet-{number:04}"


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
    namespace = name(number)
    yield {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": f"team-{number % 17:02}"}},
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


def _create(cluster: Cluster, client: Client, wanted: Manifest) -> None:
    """Create an object, unless it is there; its status is written as by its controller."""
    resource = cluster.resource(wanted["apiVersion"], wanted["kind"])
    namespace, called = wanted["metadata"].get("namespace"), wanted["metadata"]["name"]
    status = wanted.pop("status", None)
    query = {"fieldManager": "fleet", "fieldValidation": "Strict"}
    answer = client.request("POST", resource.path(namespace), wanted, query=query)
    if status and answer.ok:
        answer = client.request(
            "PATCH",
            f"{resource.path(namespace, called)}/status",
            {"status": status},
            content_type="application/merge-patch+json",
            query={"fieldManager": "kubelet" if wanted["kind"] == "Pod" else CONTROLLER},
        )
    # That a thing is there already is 409 or, of a Service, that its address is taken.
    if not answer.ok and not client.request("GET", resource.path(namespace, called)).ok:
        raise Refused(f"{wanted['kind']} {called}", answer)


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
            "selector": {"istio": f"edge-{number:04}"},
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
        labels["istio"] = f"edge-{number:04}"
        ports["https"] = (443, 8443)
    node = f"node-{number % 30:02}"
    part = f"{120 + number // 100}.{100 + number % 100}"
    addresses = [f"10.{part}.{100 + index * REPLICAS + n}" for n in range(REPLICAS)]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"app": name},
            "clusterIP": f"10.{100 + number // 150}.{100 + number % 150}.{100 + index}",
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
    key = ec.derive_private_key(1 + number * TLS_SECRETS + index, ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"{host}.{namespace}.example.com")]
    )
    # A signature has 70 to 72 bytes: the first serial number that gives it 71.
    for serial in itertools.count((1 << 30) + (number * TLS_SECRETS + index) * 100):
        certificate = _certificate(subject, key, serial)
        if len(certificate.signature) == 71:
            break
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {"tls.crt": certificate.public_bytes(encoding).decode(), "tls.key": private.decode()}
    return _secret(namespace, f"certificate-{index}", "kubernetes.io/tls", content)


def _certificate(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int
) -> x509.Certificate:
    (common,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = x509.SubjectAlternativeName([x509.DNSName(str(common.value))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )


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
