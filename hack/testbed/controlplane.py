"""etcd and kube-apiserver as plain processes on free ports of the loopback interface."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Self

import urllib3

from testbed import crds, tools
from testbed.cache import Unavailable, once, say
from testbed.client import Client
from testbed.cluster import Cluster
from testbed.etcd import Store
from testbed.keeper import Keeper
from testbed.launch import ADMIN, ETCD, KEEPER, STATE, launch

LOCK = "users.lock"

# The server is ready, and the last of the objects that it makes for itself are there.
_READY = (
    "/readyz",
    "/api/v1/namespaces/kube-node-lease",
    "/api/v1/namespaces/default/services/kubernetes",
)

# The server renews these by itself; to delete them only makes it nervous.
_THE_SERVERS_OWN = (
    b"/registry/leases/kube-system/",
    b"/registry/masterleases/",
    b"/registry/peerserverleases/",
)


class ControlPlane(Cluster):
    """A control plane of one's own, with every CRD that gwdoctor knows.

    No controllers run: a status is what somebody writes, EndpointSlices are the test's business.

        with ControlPlane.start() as control_plane:
            control_plane.apply(manifests)
    """

    ours = True
    patience = 0.0

    def __init__(self, folder: Path, lock: IO[str] | None = None) -> None:
        state = json.loads((folder / STATE).read_text())
        self.folder = folder
        self.etcd_endpoints: tuple[str, ...] = (state["etcd"],)
        self._tokens: Mapping[str, str] = state["tokens"]
        self._start: int = state.get("start", 0)
        self._baseline = self._start
        self._lock = lock
        self._store = Store(state["etcd"])
        ca_file = folder / "ca.crt"
        client = Client(state["server"], ca_file=ca_file, token=self._tokens[ADMIN])
        super().__init__(folder / f"{ADMIN}.kubeconfig", client, ca_file=ca_file)

    @classmethod
    def start(cls, folder: Path | None = None, *, detached: bool = False) -> Self:
        """Start one in an empty folder, by default a temporary one.

        It ends with `stop`, or when this process dies; detached, with `stop` only.
        """
        commands = {tool.name: tools.find(tool) for tool in (tools.ETCD, tools.KUBE_APISERVER)}
        definitions = crds.definitions()
        key = _fingerprint(commands.values(), definitions)

        def prepare(place: Path) -> None:
            say("preparing a store with these CRDs, once per machine")
            scratch = Path(tempfile.mkdtemp(prefix="gwdoctor-prepare-"))
            with cls._started(scratch, commands, store=None, detached=False) as first:
                first.define(definitions)
                Keeper(scratch, KEEPER).stop()
                # The second log file is space that etcd has laid out for later.
                shutil.copytree(scratch / ETCD, place / ETCD, ignore=lambda *_: {"0.tmp"})

        folder = folder or Path(tempfile.mkdtemp(prefix="gwdoctor-control-plane-"))
        store = once(f"store-{key}", prepare) / ETCD
        control_plane = cls._started(folder, commands, store=store, detached=detached)
        try:
            control_plane.wait_until_served(definitions)
        except BaseException:
            control_plane.stop()
            raise
        return control_plane

    @classmethod
    def _started(
        cls, folder: Path, commands: Mapping[str, Path], *, store: Path | None, detached: bool
    ) -> Self:
        lock = None if detached else _shared(folder / LOCK)
        for last in (False, False, True):
            if store:
                shutil.copytree(store, folder / ETCD)
            launch(folder, commands, users=None if detached else folder / LOCK)
            control_plane = cls(folder, lock)
            try:
                for path in _READY:
                    control_plane.wait_for(KEEPER, path, partial(control_plane._answers, path))
                control_plane._note_the_start()
            except _PortTaken:
                # Between our finding it free and the server's asking for it, somebody took the port.
                if last:
                    control_plane.stop()
                    raise
                control_plane.close()
                shutil.rmtree(folder / ETCD)
            except BaseException:
                control_plane.stop()
                raise
            else:
                break
        return control_plane

    @classmethod
    def attach(cls, folder: Path) -> Self | None:
        """The control plane that runs in a folder, if one does."""
        if not (folder / STATE).is_file() or not Keeper(folder, KEEPER).alive():
            return None
        return cls(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process of it and remove its folder."""
        self.close()
        for pid_file in sorted(self.folder.glob("*.pid")):
            Keeper(self.folder, pid_file.stem).stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock:
            self._lock.close()

    def close(self) -> None:
        """Close the connections; the processes go on."""
        super().close()
        self._store.close()

    def token(self, user: str = ADMIN) -> str:
        """The bearer token of one of the users."""
        return self._tokens[user]

    def kubeconfig_of(self, user: str) -> Path:
        """A kubeconfig with the token of `admin`, `alice`, `bob` or `carol`."""
        return self.folder / f"{user}.kubeconfig"

    def certificate_of(self, user: str) -> tuple[Path, Path]:
        """The files of a client certificate and its key: the other way to log in."""
        return self.folder / f"user-{user}.crt", self.folder / f"user-{user}.key"

    def client_of(self, user: str) -> Client:
        """Plain HTTP in the name of a user."""
        return Client(self.server, ca_file=self.ca_file, token=self.token(user))

    def keep(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run one more process for as long as this control plane runs; its output is in NAME.log."""
        lock = self.folder / LOCK
        users = lock if lock.exists() else None
        Keeper(self.folder, name).start({name: command}, users=users, environment=environment)

    def end(self, name: str) -> None:
        """End a process that `keep` started."""
        Keeper(self.folder, name).stop()

    def wait_for(self, name: str, what: str, done: Callable[[], bool]) -> None:
        """Wait until a process that is kept has done something."""
        deadline = time.monotonic() + 60
        while not done():
            if not Keeper(self.folder, name).alive():
                raise self._failure(f"{name} ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(f"{name} has shown no {what} after 60 s")
            time.sleep(0.1)

    def remember(self) -> None:
        """What there is now is what `reset` goes back to, until `forget`."""
        self._baseline = self._store.revision()

    def reset(self) -> None:
        """Empty: the objects are again those, and as they were, when the control plane had started."""
        self._store.restore(self._baseline, leave=_THE_SERVERS_OWN)
        self._resources.clear()

    def forget(self) -> None:
        """Go back to what there was at the start, `remember` or not."""
        self._baseline = self._start
        self.reset()

    def written(self) -> dict[bytes, str]:
        """The key of every object, with the revision of the store in which it was last written."""
        keys = self._store.keys()
        return {key: at for key, at in keys.items() if not key.startswith(_THE_SERVERS_OWN)}

    def _note_the_start(self) -> None:
        self._start = self._baseline = self._store.revision()
        state = json.loads((self.folder / STATE).read_text())
        (self.folder / STATE).write_text(json.dumps({**state, "start": self._start}))

    def _answers(self, path: str) -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.client.request("GET", path).ok
        return False

    def _failure(self, what: str) -> Unavailable:
        logs = {file.stem: file.read_text(errors="replace") for file in self.folder.glob("*.log")}
        if any("address already in use" in log for log in logs.values()):
            return _PortTaken(f"{what}: its ports were taken by others")
        ends = "".join(f"\n--- {name}\n{log[-2000:]}" for name, log in sorted(logs.items()))
        return Unavailable(f"{what}{ends}")


class _PortTaken(Unavailable):
    """The ports that were free a moment ago no longer are."""


def _fingerprint(programs: Iterable[Path], definitions: Mapping[str, bytes]) -> str:
    """What is in a prepared store: what these programs write, and these definitions."""
    digest = hashlib.sha256()
    for program in programs:
        digest.update(f"{program} {program.stat().st_mtime_ns}".encode())
    for definition in definitions.values():
        digest.update(definition)
    return digest.hexdigest()[:12]


def _shared(file: Path) -> IO[str]:
    """Become a user of the control plane; the kernel ends this, too, when we die."""
    lock = file.open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock
