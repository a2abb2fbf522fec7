"""hack/kind-demo: the five failures in a kind cluster, for people with Docker."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from testbed import crds, kubeconfig, tools
from testbed.cache import Unavailable, folder, say
from testbed.client import Manifest
from testbed.cluster import Cluster, Refused

CHECKOUT = Path(__file__).parents[3]
CONFIGURATION = CHECKOUT / "hack" / "kind-cluster.yaml"
NAME = "gwdoctor"


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    try:
        arguments.run()
    except (Unavailable, Refused, LookupError) as problem:
        sys.exit(f"hack/kind-demo: {problem}")


def load(cluster: Cluster) -> int:
    """Define the kinds, and make the five failures; the number of objects that this took."""
    cluster.define(crds.definitions())
    manifests = list(_broken_scenes())
    # A real cluster takes no pod whose ServiceAccount is missing, and makes even `default` a while
    # after its namespace.
    return len(cluster.apply([*_service_accounts(manifests), *manifests], status=True))


def _up() -> None:
    file = _kubeconfig()
    if NAME in _kind("get", "clusters").split():
        say(f"reusing the kind cluster {NAME}")
        _kind("export", "kubeconfig", "--name", NAME, "--kubeconfig", str(file))
    else:
        say(f"creating the kind cluster {NAME}; the first time this downloads an image")
        _kind("create", "cluster", "--config", str(CONFIGURATION), "--kubeconfig", str(file))
    cluster = kubeconfig.connect(file)
    cluster.ours = True
    count = load(cluster)
    cluster.close()
    say(f"{count} objects are in it; now: gwdoctor scan -A --kubeconfig {file}")
    print(file)


def _down() -> None:
    _kind("delete", "cluster", "--name", NAME)
    _kubeconfig().unlink(missing_ok=True)


def _kubeconfig() -> Path:
    """A file of its own: the reader's ~/.kube/config stays as it is."""
    file = folder() / "run" / "kind.kubeconfig"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _kind(*arguments: str) -> str:
    program = shutil.which("kind") or str(tools.find(tools.KIND))
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"kind {' '.join(arguments)} failed: is a container engine running?")
    return done.stdout


def _broken_scenes() -> Iterator[Manifest]:
    """The broken half of the scenes that the live tests use, in their own notation."""
    sys.path.append(str(CHECKOUT / "tests"))
    import scenes

    for document in scenes.DOCUMENTS:
        yield from scenes.manifests(document, "broken")


def _service_accounts(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    wanted = {
        (pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName", "default"))
        for pod in manifests
        if pod["kind"] == "Pod"
    }
    for namespace, name in sorted(wanted):
        metadata = {"namespace": namespace, "name": name}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/kind-demo",
        description="The five failures in a kind cluster. Needs Docker, Podman or nerdctl; without "
        "any of them, hack/cluster up starts a control plane that does not.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up", help="create the cluster and break it; the last line is a kubeconfig"
    )
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="delete the cluster")
    down.set_defaults(run=_down)
    return parser
