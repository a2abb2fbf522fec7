"""Ends work that takes too long, wherever it is."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any, Self

#: How often it is looked at, in seconds.
_TICK = 0.1


class TimeUp(BaseException):
    """The time is over. Not an Exception: nothing on the way is to take it for a fault."""


class Alarm:
    """Raises TimeUp in what goes on when a time comes that was set.

    It goes off in the main thread of a Unix, as a context; elsewhere everything runs to its end.
    """

    def __init__(self) -> None:
        self._until = math.inf
        self._before: Any = None
        self._is_on = False

    def __enter__(self) -> Self:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and hasattr(signal, "setitimer"):
            self._before = signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
            self._is_on = True
        return self

    def __exit__(self, *_: object) -> None:
        self._until = math.inf
        if self._is_on:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)

    def set(self, seconds: float) -> None:
        """Go off in so many seconds; with infinitely many, never. It replaces what was set."""
        self._until = time.monotonic() + seconds

    def _look(self, *_: object) -> None:
        # It stays set: Python drops what is raised while it frees an object.
        if time.monotonic() > self._until:
            raise TimeUp
