"""What the tests of the live source read: two namespaces with some of everything."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import certs

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind, Ref
from gwdoctor.source.access import Flags
from gwdoctor.source.batch import Batch
from gwdoctor.source.live import Live, connect

FIRST, SECOND = "gwdoctor-test-reading-a", "gwdoctor-test-reading-b"
SERVICES = 24
PRIVATE = b"PRIVATE KEY"


def manifests() -> Iterator[dict[str, Any]]:
    """The objects; nothing here is healthy or broken, it is only there to be read."""
    for number in range(SERVICES):
        namespace = (FIRST, SECOND)[number % 2]
        yield _object("v1", "Service", namespace, f"web-{number:02}", spec=_ports())
        yield _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            namespace,
            f"web-{number:02}-x",
            labels={"kubernetes.io/service-name": f"web-{number:02}"},
            addressType="IPv4",
            endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
            ports=[{"name": "http", "port": 80, "protocol": "TCP"}],
        )
        yield _object(
            "networking.istio.io/v1",
            "VirtualService",
            namespace,
            f"web-{number:02}",
            spec={"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
        )
    for namespace in (FIRST, SECOND):
        yield pod(namespace, "web", {"app": "web"})
        yield tls_secret(namespace, "serving")
        yield _object("v1", "Secret", namespace, "opaque", type="Opaque", data=_key_of_an_app())
        yield _object("v1", "ConfigMap", namespace, "settings", data={"a": "b"})


def pod(namespace: str, name: str, labels: dict[str, str], **container: Any) -> dict[str, Any]:
    """A Pod with an environment that is nobody's business."""
    variables = [{"name": "DATABASE_PASSWORD", "value": "hunter2"}]
    main = {"name": "main", "image": "example/web:1", "env": variables, **container}
    return _object("v1", "Pod", namespace, name, labels=labels, spec={"containers": [main]})


def tls_secret(namespace: str, name: str) -> dict[str, Any]:
    """A Secret of type kubernetes.io/tls with a real pair."""
    data = certs.secret_data(certs.NOW, dns=["www.example.com"])
    return _object("v1", "Secret", namespace, name, type="kubernetes.io/tls", data=data)


def _object(api: str, kind: str, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": fields.pop("labels", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _ports() -> dict[str, Any]:
    return {"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}}


def _key_of_an_app() -> dict[str, str]:
    return {"id_rsa": base64.b64encode(PRIVATE).decode()}


LISTED = frozenset(kind for kind in READINGS if not READINGS[kind].on_reference)


def reader(kubeconfig: Path, **how: Any) -> Live:
    """A live source for everything, which may not take for ever."""
    return connect(
        Flags(kubeconfig=str(kubeconfig)),
        **{"namespaces": None, "timeout": 60, "connections": 4, **how},
    )


def read(kubeconfig: Path, wanted: Iterable[Kind] = LISTED, **how: Any) -> Batch:
    """What comes of listing these kinds."""
    with reader(kubeconfig, **how) as live:
        return live.list(wanted)


def refs(batch: Batch, kind: Kind) -> set[Ref]:
    """What was read of a kind in our namespaces."""
    return {r.ref for r in batch.resources if r.ref.kind == kind and r.namespace in (FIRST, SECOND)}


def all_services() -> set[Ref]:
    """Every Service of the scene."""
    return {
        Ref(kinds.SERVICE, (FIRST, SECOND)[number % 2], f"web-{number:02}")
        for number in range(SERVICES)
    }
