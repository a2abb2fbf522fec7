"""The real Envoy Gateway controller beside a control plane: real status, real Services.

It writes Deployments that nobody runs: there is no proxy behind its Gateways.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess

import urllib3

from testbed import tools
from testbed.cache import Unavailable
from testbed.controlplane import ControlPlane

NAME = "envoy-gateway"
NAMESPACE = "envoy-gateway-system"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"

HEALTH = 8081
PORTS = (HEALTH, 18000, 18002, 19000, 19001)
"""Its ports cannot be chosen: there is one Envoy Gateway on a machine."""

CONFIGURATION = {
    "apiVersion": "gateway.envoyproxy.io/v1alpha1",
    "kind": "EnvoyGateway",
    "gateway": {"controllerName": CONTROLLER},
    "logging": {"level": {"default": "info"}},
    "provider": {
        "type": "Kubernetes",
        "kubernetes": {
            "leaderElection": {"disable": True},
            "proxyTopologyInjector": {"disabled": True},
        },
    },
}


def start(control_plane: ControlPlane) -> None:
    """Run Envoy Gateway for a control plane; returns when it is ready for a GatewayClass."""
    program = str(tools.find(tools.ENVOY_GATEWAY))
    _need_the_ports()
    control_plane.create_namespace(NAMESPACE)
    environment = {
        "HOME": str(control_plane.folder),
        "PATH": os.environ.get("PATH", os.defpath),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "ENVOY_GATEWAY_NAMESPACE": NAMESPACE,
    }
    done = subprocess.run(
        [program, "certgen", "--disable-topology-injector"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"{NAME} certgen failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    certificates = control_plane.folder / "certs"
    certificates.mkdir(mode=0o700, exist_ok=True)
    for name, content in control_plane.get("v1", "Secret", NAME, NAMESPACE)["data"].items():
        (certificates / name).write_bytes(base64.b64decode(content))
    configuration = control_plane.folder / f"{NAME}.json"
    configuration.write_text(json.dumps(CONFIGURATION))
    command = [program, "server", f"--config-path={configuration}"]
    control_plane.keep(NAME, command, environment=environment)
    control_plane.wait_for(NAME, "readiness", _ready)
    control_plane.remember()


def _ready() -> bool:
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        url = f"http://127.0.0.1:{HEALTH}/readyz"
        return urllib3.request("GET", url, retries=False, timeout=1).status == 200
    return False


def _need_the_ports() -> None:
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as taken:
                raise Unavailable(
                    f"{NAME} needs port {port}, which is in use; does another one run?"
                ) from taken
