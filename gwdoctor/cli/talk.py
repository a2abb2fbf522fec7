"""What is said on stderr: warnings, and on a terminal how far the reading is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from gwdoctor.cli.phases import Phases
from gwdoctor.model import Kind
from gwdoctor.render.words import visible
from gwdoctor.source.manifests import Note

_TEN_A_SECOND = 0.1
_MOST_NOTES = 20
_URGENCY = ("missing", "broken", "other", "twice")


class Talk:
    """Says things on stderr; data goes to stdout and never meets them."""

    def __init__(self, verbosity: int = 0) -> None:
        self.phases = Phases()
        self._verbosity = verbosity
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self._last = 0.0
        self._objects: dict[Kind, int] = {}
        self._done: set[Kind] = set()

    def warn(self, text: str) -> None:
        """Something that the user has to know."""
        self.done()
        print(f"gwdoctor: {visible(text)}", file=sys.stderr)

    def say(self, verbosity: int, text: str) -> None:
        """Something that is of interest to those who asked for as much (-v)."""
        if self._verbosity >= verbosity:
            self.warn(text)

    def notes(self, notes: Iterable[Note]) -> None:
        """What could not be used of the input, the worst first; where it is much, not all of it."""
        told = sorted(notes, key=lambda note: _URGENCY.index(note.problem))
        for note in told[:_MOST_NOTES]:
            self.warn(str(note))
        if len(told) > _MOST_NOTES:
            self.warn(f'and {len(told) - _MOST_NOTES} more, all under "not checked"')

    def progress(self, kind: Kind, objects: int, size: int, done: bool) -> None:
        """One more page was read: a line that is written over and over, on terminals only."""
        self._objects[kind] = objects
        if done:
            self._done.add(kind)
        now = time.monotonic()
        if self._is_terminal and now - self._last >= _TEN_A_SECOND:
            self._last, self._shown = now, True
            total = sum(self._objects.values())
            text = f"reading: {total} objects, {len(self._done)} kinds done, now {kind.name}"
            print(f"\r\x1b[K{text[:79]}", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Take the progress line away."""
        if self._shown:
            self._shown = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
