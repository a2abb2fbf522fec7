"""Keeps a group of server processes: they live and die together, and never outlive their users.

Runs as a program of its own, away from the process that asked for the servers, so that those end also
when that process is killed. Every user holds a shared lock on one file; when the kernel has taken back
the last of these locks, the keeper ends its servers and removes their folder. A keeper without such
a file (`hack/cluster up`) goes on until it is told to end.

This file uses the standard library only: it is started with a bare `python -S`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


class Keeper:
    """One keeper as its users see it: a pid file, locked for as long as the keeper lives."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._pid_file = folder / f"{name}.pid"

    def start(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        users: Path | None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `commands`, each with its output in NAME.log, for as long as `users` is locked."""
        order = {"folder": str(self._folder), "name": self._name, "commands": commands}
        order["users"] = str(users) if users else ""
        # The program returns as soon as the real keeper, its grandchild, has locked the pid file.
        subprocess.run(
            [sys.executable, "-S", __file__],
            input=json.dumps(order).encode(),
            env=dict(environment or os.environ),
            check=True,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether the keeper, and with it all of its servers, is running."""
        try:
            with self._pid_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def stop(self) -> None:
        """End the keeper and its servers; does nothing where they have ended already."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 10
            # The lock says that the number in the file is still that of our keeper.
            if self.alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(self._pid_file.read_text()), signal_number)
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.02)


def main() -> None:
    """Read the order from standard input and keep its servers until the end."""
    order = json.load(sys.stdin)
    folder, users = Path(order["folder"]), order["users"]
    ready_reader, ready_writer = os.pipe()
    if os.fork():
        os.close(ready_writer)
        os._exit(0 if os.read(ready_reader, 1) else 1)
    os.close(ready_reader)
    with (folder / f"{order['name']}.pid").open("a") as pid_file:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pid_file.truncate(0)
        print(os.getpid(), file=pid_file, flush=True)
        # SIGCHLD, too, is only waited for: the end of one server is the end of all.
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        with _running(order["commands"], folder):
            os.write(ready_writer, b"1")
            os.close(ready_writer)
            _let_go_of_the_terminal()
            if users:
                threading.Thread(target=_end_when_unused, args=(Path(users),), daemon=True).start()
            signal.sigwait(signals)
        if users and _unused(Path(users)):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(commands: Mapping[str, Sequence[str]], folder: Path) -> Iterator[None]:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("ab") as log:
                processes.append(
                    subprocess.Popen(
                        command,
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        preexec_fn=_die_with_parent,
                    )
                )
        yield
    finally:
        # Nothing here is worth a graceful end: the data is thrown away with the folder.
        for process in reversed(processes):
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """For the case that the keeper itself is killed; where there is no prctl, that case stays open."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _let_go_of_the_terminal() -> None:
    """Who started us may wait for the end of our output: point it elsewhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _end_when_unused(users: Path) -> None:
    with contextlib.suppress(FileNotFoundError), users.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    os.kill(os.getpid(), signal.SIGTERM)


def _unused(users: Path) -> bool:
    try:
        with users.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()
