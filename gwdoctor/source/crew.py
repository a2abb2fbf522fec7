"""Threads that wait for the server, so that the main thread can decode meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from gwdoctor.source.deadline import Deadline

T = TypeVar("T")  #: what a job is about
R = TypeVar("R")  #: what it brings

#: How many outcomes may wait for the main thread: a page has a few megabytes.
_WAITING = 2


class Crew(Generic[T, R]):
    """Runs jobs, several at a time; whatever a job raises is its outcome.

    The threads are daemons and nobody waits for one that hangs: at the deadline the jobs that
    are not done are left behind.
    """

    def __init__(self, size: int, deadline: Deadline) -> None:
        self._size = size
        self._deadline = deadline
        self._jobs: queue.SimpleQueue[tuple[T, Callable[[], R]] | None] = queue.SimpleQueue()
        self._outcomes: queue.Queue[tuple[T, R | Exception]] = queue.Queue(_WAITING)
        self._lock = threading.Lock()
        self._open = 0
        self._threads = 0
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for _number in range(self._threads):
            self._jobs.put(None)

    def submit(self, about: T, job: Callable[[], R]) -> None:
        """Run a job as soon as a thread is free. A job may submit another."""
        with self._lock:
            self._open += 1
            if self._threads < min(self._size, self._open):
                self._threads += 1
                threading.Thread(target=self._work, daemon=True).start()
        self._jobs.put((about, job))

    def outcomes(self) -> Iterator[tuple[T, R | Exception]]:
        """What the jobs brought, as they end, until none is open or the deadline has come."""
        while self._open:
            try:
                left = min(self._deadline.left, threading.TIMEOUT_MAX)
                about, outcome = self._outcomes.get(timeout=left)
            except queue.Empty:
                return
            yield about, outcome  # which may submit more, before this one counts as closed
            with self._lock:
                self._open -= 1

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None and not self._over:
            self._do(*task)
            # a thread that waits holds nothing of what it has read: there may be keys in it
            del task

    def _do(self, about: T, job: Callable[[], R]) -> None:
        outcome: R | Exception
        try:
            outcome = job()
        except Exception as error:  # told to the main thread, which knows what it means
            outcome = error
        while not self._over:
            try:
                self._outcomes.put((about, outcome), timeout=0.5)
                break
            except queue.Full:
                continue
