"""How much time is left."""

from __future__ import annotations

import time


class Deadline:
    """The end of the run; None or 0 seconds: there is none."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds or 0.0
        self._end = time.monotonic() + seconds if seconds else float("inf")

    @property
    def left(self) -> float:
        """Seconds, infinite where there is no end, never below zero."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.left <= 0

    def capped(self, seconds: float | None) -> Deadline:
        """One that may come sooner, after so many seconds from now."""
        inner = Deadline(seconds)
        inner._end = min(inner._end, self._end)
        return inner
