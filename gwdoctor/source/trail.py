"""Where a list has led so far."""

from __future__ import annotations

from gwdoctor.source.connection import Trouble


class Trail:
    """The continue tokens of one list. One that comes again would be followed for ever."""

    def __init__(self) -> None:
        self._followed: set[str] = set()

    def follow(self, token: str) -> None:
        """Raises Trouble where it has been there."""
        if token in self._followed:
            raise Trouble("the list never ends: a page leads back to an earlier one")
        self._followed.add(token)
