"""hack/cluster: a control plane for a person, that runs until it is told to end."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import envoy_gateway, kwok, tools
from testbed.cache import Unavailable, folder, locked, say
from testbed.cluster import Refused
from testbed.controlplane import ControlPlane
from testbed.keeper import Keeper

ADDONS = {"kwok": kwok.start, "envoy-gateway": envoy_gateway.start}


def main() -> None:
    """Run the command line; what goes wrong is one message and exit code 1."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except (Unavailable, Refused, LookupError) as problem:
        sys.exit(f"hack/cluster: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)


def run_folder() -> Path:
    """Where the one control plane that `up` starts has its files."""
    return folder() / "run" / "control-plane"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/cluster",
        description="A real Kubernetes control plane on this machine: no containers, no root.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start it, or reuse it; the last line is a kubeconfig")
    up.add_argument(
        "--with",
        dest="addons",
        action="append",
        choices=sorted(ADDONS),
        default=[],
        help="run this, too: kwok lets pods run, envoy-gateway writes real status (repeatable)",
    )
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="end it and forget everything in it")
    down.set_defaults(run=_down)
    status = commands.add_parser("status", help="say whether it runs, and where")
    status.set_defaults(run=_status)
    build = commands.add_parser(
        "build", help="build programs into the cache, so that `up` is quick"
    )
    build.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(tools.TOOLS))
    build.set_defaults(run=_build)
    return parser


def _up(arguments: argparse.Namespace) -> None:
    with _alone():
        control_plane = ControlPlane.attach(run_folder())
        if control_plane:
            say(f"reusing the control plane at {control_plane.server}")
        else:
            started = time.monotonic()
            say("starting etcd and kube-apiserver")
            # What a control plane left behind that was killed, or lost in a restart of the machine.
            shutil.rmtree(run_folder(), ignore_errors=True)
            run_folder().mkdir(parents=True)
            control_plane = ControlPlane.start(run_folder(), detached=True)
            say(f"ready after {time.monotonic() - started:.1f} s at {control_plane.server}")
        for name in arguments.addons:
            if not Keeper(control_plane.folder, name).alive():
                say(f"starting {name}")
                ADDONS[name](control_plane)
        control_plane.close()
    print(control_plane.kubeconfig)


def _down(_: argparse.Namespace) -> None:
    with _alone():
        control_plane = ControlPlane.attach(run_folder())
        if control_plane:
            control_plane.stop()
            say("ended")
        else:
            say("nothing runs")
            shutil.rmtree(run_folder(), ignore_errors=True)


def _status(_: argparse.Namespace) -> None:
    control_plane = ControlPlane.attach(run_folder())
    if not control_plane:
        say("not running: hack/cluster up starts it")
        sys.exit(1)
    running = [name for name in ADDONS if Keeper(control_plane.folder, name).alive()]
    ready = "ready" if control_plane.client.request("GET", "/readyz").ok else "not ready"
    control_plane.close()
    say(f"{ready} at {control_plane.server}" + (f", with {', '.join(running)}" if running else ""))
    say(f"logs in {control_plane.folder}")
    print(control_plane.kubeconfig)


def _build(arguments: argparse.Namespace) -> None:
    wanted = arguments.tools or [tools.ETCD.name, tools.KUBE_APISERVER.name]
    for name in wanted:
        if name not in tools.TOOLS:
            raise Unavailable(f"there is no tool {name}: choose from {', '.join(tools.TOOLS)}")
        print(tools.find(tools.TOOLS[name]))


@contextmanager
def _alone() -> Iterator[None]:
    """Two `up` at the same time start one control plane."""
    with locked(folder() / "run.lock"):
        yield
