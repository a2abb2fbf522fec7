"""The CronJob's command line as its Pod runs it: user 65532, a read-only root, in-cluster files.

No container engine is needed: a mount namespace of our own does, where we may have one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from commandline import BROKEN, CHECK
from testbed import ControlPlane

from gwdoctor import deployment
from gwdoctor.catalogue import catalogue

HOME = "gwdoctor"
GWDOCTOR = str(Path(sys.executable).with_name("gwdoctor"))
_AS_THE_POD = f"""
set -e
mount -t tmpfs none /run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cp "$FILES"/* /var/run/secrets/kubernetes.io/serviceaccount/
: > /run/termination-log
chmod -R a+rX /run/secrets
chmod 666 /run/termination-log
mount --bind / /
mount -o remount,ro,bind /
if ( : > /written ) 2>/dev/null; then echo "the root can be written to" >&2; exit 99; fi
set +e
env -i HOME=/no-such-home PYTHONDONTWRITEBYTECODE=1 KUBERNETES_SERVICE_HOST="$HOST" \\
  KUBERNETES_SERVICE_PORT="$PORT" POD_NAMESPACE={HOME} GWDOCTOR_CRONJOB=gwdoctor \\
  setpriv --reuid {deployment.USER} --regid {deployment.USER} --clear-groups --no-new-privs \\
  --bounding-set=-all --inh-caps=-all "$@"
code=$?
cat /run/termination-log >&2
exit $code
"""


@dataclass(frozen=True)
class Ended:
    """A Pod that has ended. `said` is stderr and the termination message."""

    code: int
    out: str
    said: str


@pytest.fixture
def pod(empty_control_plane: ControlPlane, tmp_path: Path) -> Callable[..., Ended]:
    """Runs a command as the Pod of the CronJob would; skips where this machine does not let us."""
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("there is no unshare or setpriv here")
    settings = deployment.Settings(secrets="all")
    empty_control_plane.apply(deployment.objects(settings, list(catalogue().values())))
    path = f"/api/v1/namespaces/{HOME}/serviceaccounts/gwdoctor/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = empty_control_plane.client.request("POST", path, body).json()["status"]["token"]
    files = tmp_path / "serviceaccount"
    files.mkdir()
    (files / "token").write_text(token)
    (files / "ca.crt").write_bytes((empty_control_plane.folder / "ca.crt").read_bytes())
    (files / "namespace").write_text(HOME)
    server = urlsplit(empty_control_plane.server)
    variables = {"FILES": str(files), "HOST": str(server.hostname), "PORT": str(server.port)}

    def run(*command: str) -> Ended:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", _AS_THE_POD, "sh", *command],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables},
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    probe = run(sys.executable, "-c", "import os, gwdoctor; print(os.getuid())")
    if (probe.code, probe.out.strip()) != (0, str(deployment.USER)):
        pytest.skip(f"no Pod can be played here: {probe.said.strip() or probe.out.strip()}")
    return run


def test_the_pod_of_the_cronjob_needs_no_root_and_writes_nothing_but_reports(
    empty_control_plane: ControlPlane, pod: Callable[..., Ended]
) -> None:
    empty_control_plane.apply(BROKEN.replace("namespace: infra", "namespace: default"))
    cron_job = empty_control_plane.get("batch/v1", "CronJob", "gwdoctor", HOME)
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    arguments = [
        a.replace("/dev/termination-log", "/run/termination-log") for a in container["args"]
    ]

    done = pod(GWDOCTOR, *arguments)

    assert done.code == 0, done.said
    assert CHECK in {json.loads(line).get("check") for line in done.out.splitlines()}
    assert "gwdoctor: 1 problem: 1 critical." in done.said
    kept = empty_control_plane.get("v1", "ConfigMap", "gwdoctor-report", HOME)
    assert CHECK in kept["data"]["summary"]
    assert kept["metadata"]["ownerReferences"][0]["uid"] == cron_job["metadata"]["uid"]
