"""Ends work that takes too long, wherever it is."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TimeUp(BaseException):
    """The time is over. Not an Exception: nothing on the way is to take it for a fault."""


@contextmanager
def ringing(seconds: float) -> Iterator[None]:
    """Raises TimeUp in here after so many seconds.

    In the main thread of a Unix; elsewhere, and with infinite seconds, it lets everything run.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not in_main_thread or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        # Again and again: Python drops what is raised while it frees an object.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
