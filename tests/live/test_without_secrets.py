"""The page of the README about reading without Secrets, followed on the real API server."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from certs import secret_data
from commandline import Done, program
from testbed import ControlPlane

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = README.partition("## Reading without Secrets")[2].partition("\n## ")[0]
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  ingressClassName: nginx
  defaultBackend: {service: {name: shop, port: {number: 80}}}
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
"""


def rights_without_secrets() -> str:
    """The table of the README as rules, less the Secrets."""
    rows = re.findall(r"^\| `(\S+)`(?:, the core group)? \| ([a-z, ]+) \|$", README, re.M)
    rules = "".join(
        f"- apiGroups: [{group if group.startswith(chr(34)) else chr(34) + group + chr(34)}]\n"
        f"  resources: [{', '.join(p for p in plurals.split(', ') if p != 'secrets')}]\n"
        "  verbs: [get, list]\n"
        for group, plurals in rows
    )
    return f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: without-secrets}}
rules:
{rules}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: without-secrets}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: without-secrets}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}}]
"""


@pytest.fixture
def alice(empty_control_plane: ControlPlane) -> Path:
    """The kubeconfig of somebody who may read everything but Secrets; one certificate has expired."""
    empty_control_plane.create_namespace("shop")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop-tls", "namespace": "shop"},
        "type": "kubernetes.io/tls",
        "data": secret_data(dns=["shop.example.com"], days=-1),
    }
    empty_control_plane.apply(f"{INGRESS}---\n{json.dumps(secret)}\n---{rights_without_secrets()}")
    return empty_control_plane.kubeconfig_of("alice")


def scan(kubeconfig: Path) -> Done:
    return program("scan", "--kubeconfig", kubeconfig, "-A", "--select", "tls")


def test_what_could_not_be_seen_is_said_as_the_page_shows(alice: Path) -> None:
    shown = re.search(r"```\n(not checked: .*?)```", PAGE, re.DOTALL)
    assert shown is not None

    done = scan(alice)

    assert shown[1] in done.out
    assert "tls/certificate-expired" not in done.out


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")
def test_the_role_of_the_page_is_enough_for_the_secret_that_it_names(
    alice: Path, control_plane: ControlPlane
) -> None:
    role = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    binding = re.search(r"^    (kubectl create rolebinding .*)$", PAGE, re.M)
    assert role is not None
    assert binding is not None

    control_plane.apply(role[1])
    line = [*shlex.split(binding[1]), f"--kubeconfig={control_plane.kubeconfig}"]
    subprocess.run(line, check=True, capture_output=True)

    assert "tls/certificate-expired" in scan(alice).out
