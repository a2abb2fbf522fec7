"""kwok in the kubelet's place, and the real Envoy Gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from testbed import ControlPlane
from testbed.client import Manifest

T = TypeVar("T")

NAMESPACE = "gwdoctor-test-addons"


def test_a_pod_becomes_ready(control_plane: ControlPlane, kwok_node: str) -> None:
    control_plane.apply([_pod("web", kwok_node)])

    status = _eventually(
        lambda: control_plane.get("v1", "Pod", "web", NAMESPACE)["status"],
        lambda status: status.get("phase") == "Running",
    )

    ready = {each["type"]: each["status"] for each in status["conditions"]}
    assert ready["Ready"] == "True"


def test_the_log_of_a_pod_is_the_file_that_a_test_wrote(
    control_plane: ControlPlane, kwok_node: str, tmp_path: Path
) -> None:
    log = tmp_path / "proxy.log"
    log.write_text("2026-01-01T00:00:00.000000000Z stderr F readv() failed (104: reset)\n")
    control_plane.apply(
        [
            _pod("proxy", kwok_node),
            _cluster_object(
                "ClusterLogs",
                {
                    "logs": [{"logsFile": str(log)}],
                },
            ),
        ]
    )
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/proxy/log"

    text = _eventually(lambda: control_plane.client.request("GET", path), lambda answer: answer.ok)

    assert text.body == b"readv() failed (104: reset)\n"


def test_envoy_gateway_writes_the_status_and_the_service(
    control_plane: ControlPlane, real_envoy_gateway: str
) -> None:
    control_plane.apply(f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: eg}}
spec: {{controllerName: {real_envoy_gateway}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
  namespace: {NAMESPACE}
  annotations: {{service.beta.kubernetes.io/aws-load-balancer-type: external}}
spec:
  gatewayClassName: eg
  infrastructure: {{annotations: {{service.beta.kubernetes.io/aws-load-balancer-scheme: internal}}}}
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
""")

    status = _eventually(
        lambda: control_plane.get("gateway.networking.k8s.io/v1", "Gateway", "edge", NAMESPACE)[
            "status"
        ],
        lambda status: any(each["reason"] == "Accepted" for each in status["conditions"]),
    )
    (service,) = _eventually(
        lambda: [
            each
            for each in control_plane.items("v1", "Service", "envoy-gateway-system")
            if each["metadata"]["name"].startswith(f"envoy-{NAMESPACE}-edge")
        ],
        bool,
    )

    assert status["listeners"][0]["name"] == "http"
    # Annotations of the Gateway itself do not reach the Service: what document 003 got wrong.
    assert service["metadata"]["annotations"] == {
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"
    }


def _pod(name: str, node: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "example.net/main"}]},
    }


def _cluster_object(kind: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "gwdoctor-test"},
        "spec": spec,
    }


def _eventually(look: Callable[[], T], good: Callable[[T], bool], within: float = 20) -> T:
    deadline = time.monotonic() + within
    while not good(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert good(seen), seen
    return seen
