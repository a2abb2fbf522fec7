"""Every fault on the lists of every kind: what was served is read, or the gap is told. Nothing else.

And an API server that dies in the middle of a scan, and comes back or does not.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Done, program
from reading_scene import LISTED, read
from testbed import ControlPlane, FaultProxy
from testbed.client import Client
from testbed.launch import free_ports

from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind, Ref
from gwdoctor.source.batch import Batch

#: Of two kinds, each has a turn.
ORDERED = sorted(LISTED)
HALVES = (frozenset(ORDERED[::2]), frozenset(ORDERED[1::2]))


@pytest.fixture(scope="module")
def baseline(filled: ControlPlane) -> dict[Kind, set[Ref]]:
    """What is there, as a read through an honest proxy counts it."""
    with FaultProxy(filled).start() as proxy:
        batch = read(proxy.kubeconfig(), chunk_size=10)
        assert batch.gaps == ()
        assert len(batch.resources) == proxy.items_served("^/apis?/")
    return by_kind(batch)


pytestmark = pytest.mark.usefixtures("impatient")


def by_kind(batch: Batch) -> dict[Kind, set[Ref]]:
    found: dict[Kind, set[Ref]] = {kind: set() for kind in LISTED}
    for resource in batch.resources:
        assert resource.ref not in found[resource.ref.kind], "read twice"
        found[resource.ref.kind].add(resource.ref)
    return found


def path_of(kind: Kind) -> str:
    """The list of a kind, and of no other (Gateways are of two groups)."""
    reading = READINGS[kind]
    root = rf"/apis/{re.escape(kind.group)}/[a-z0-9]+" if kind.group else "/api/v1"
    return rf"^{root}/{reading.plural}(\?|$)"


Fault = Callable[[FaultProxy, str, int | None], Any]


def fails(status: int) -> Fault:
    return lambda proxy, path, times: proxy.fail(path, status, times)


FAULTS: dict[str, Fault] = {
    **{str(status): fails(status) for status in (401, 403, 409, 410, 429, 500, 503)},
    "429 with Retry-After": lambda proxy, path, times: proxy.fail(
        path, 429, times, headers={"Retry-After": "0"}
    ),
    "503 for an hour": lambda proxy, path, times: proxy.fail(
        path, 503, times, headers={"Retry-After": "3600"}
    ),
    "reset": lambda proxy, path, times: proxy.reset_after(path, 0, times),
    "reset in mid body": lambda proxy, path, times: proxy.reset_after(path, 40, times),
    "truncated": lambda proxy, path, times: proxy.truncate_after(path, 40, times),
    "corrupt": lambda proxy, path, times: proxy.corrupt(path, 5, times),
    "no list": lambda proxy, path, times: proxy.fail(path, 200, times, body=b'{"kind":"Status"}'),
    "no JSON": lambda proxy, path, times: proxy.fail(path, 200, times, body=b"<html>"),
    "null": lambda proxy, path, times: proxy.fail(path, 200, times, body=b"null"),
    "items of no kind of form": lambda proxy, path, times: proxy.fail(
        path, 200, times, body=b'{"kind":"XList","items":[7,null,[],{},{"metadata":null}]}'
    ),
}
#: What does not pass by asking again, although it happened once.
NOT_TRIED_AGAIN = {"403", "409", "503 for an hour", "items of no kind of form"}


@pytest.mark.parametrize("harmed", HALVES, ids=["one half", "the other"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_what_it_is_about_and_says_so(
    filled: ControlPlane, baseline: dict[Kind, set[Ref]], name: str, harmed: frozenset[Kind]
) -> None:
    with FaultProxy(filled).start() as proxy:
        kubeconfig = proxy.kubeconfig()
        for kind in harmed:
            FAULTS[name](proxy, path_of(kind), None)
        batch = read(kubeconfig, chunk_size=10, connections=8)

    found = by_kind(batch)
    told = {gap.kind for gap in batch.gaps if not gap.name}
    assert told == harmed
    for kind in LISTED:
        assert found[kind] == (set() if kind in harmed else baseline[kind]), kind
    assert all(gap.reason and gap.reason.isprintable() for gap in batch.gaps)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_happens_once_on_every_list_loses_nothing_in_silence(
    filled: ControlPlane, baseline: dict[Kind, set[Ref]], name: str
) -> None:
    with FaultProxy(filled).start() as proxy:
        kubeconfig = proxy.kubeconfig()
        for kind in LISTED:
            FAULTS[name](proxy, path_of(kind), 1)
        batch = read(kubeconfig, chunk_size=10, connections=8)

    found = by_kind(batch)
    told = {gap.kind for gap in batch.gaps}
    for kind in LISTED:
        assert found[kind] == baseline[kind] or kind in told, f"{kind} lost objects in silence"
    if name not in NOT_TRIED_AGAIN and name != "401":
        assert told == set()


# --- an API server that restarts ----------------------------------------------------------


class Second:
    """One more real API server over the same store, that may be killed."""

    def __init__(self, first: ControlPlane, folder: Path) -> None:
        self._command = [*_command_line(first)]
        self._folder = folder
        (port,) = free_ports(1)
        place = next(n for n, a in enumerate(self._command) if a.startswith("--secure-port="))
        self._command[place] = f"--secure-port={port}"
        self.server = f"https://127.0.0.1:{port}"
        self.ca_file, self.token = first.ca_file, first.token
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "second.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        client = Client(self.server, ca_file=self.ca_file, token=self.token())
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                if client.request("GET", "/readyz").status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError((self._folder / "second.log").read_text()[-2000:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _command_line(control_plane: ControlPlane) -> list[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
            if words and "kube-apiserver" in words[0] and str(control_plane.folder) in str(words):
                return words
    raise AssertionError("the API server is not there")


@pytest.fixture
def second(filled: ControlPlane, tmp_path: Path) -> Iterator[Second]:
    made = Second(filled, tmp_path)
    made.start()
    yield made
    made.kill()


def scanned(proxy: FaultProxy) -> Done:
    return program("scan", "-A", "-o", "json", "--kubeconfig", proxy.kubeconfig(), "--timeout=90s")


def findings(done: Done) -> Any:
    return [(finding["id"], finding["message"]) for finding in done.report["findings"]]


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_api_server_that_dies_in_the_middle_of_a_scan(second: Second, comes_back: bool) -> None:
    with FaultProxy(second).start() as proxy:  # type: ignore[arg-type]
        before = scanned(proxy)
        assert before.report["not_checked"] == []
        proxy.clear()
        held = proxy.delay("^/api/v1/services", 4 if comes_back else 1, times=4)
        answer: list[Done] = []
        run = threading.Thread(target=lambda: answer.append(scanned(proxy)))
        run.start()
        while not held.used and run.is_alive():
            time.sleep(0.01)
        while not proxy.count("/virtualservices") and run.is_alive():
            time.sleep(0.01)
        second.kill()
        if comes_back:
            second.start()
        run.join()

    (done,) = answer
    assert "Traceback" not in done.err
    assert done.code == before.code
    unseen = str(done.report["not_checked"])
    if comes_back and not done.report["not_checked"]:
        assert findings(done) == findings(before)
        assert done.report["summary"]["objects"] == before.report["summary"]["objects"]
    else:
        assert "Service: " in unseen
        assert all(skip["reason"] for skip in done.report["not_checked"])
    assert not comes_back or not done.report["not_checked"], unseen
