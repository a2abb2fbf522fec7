"""Many host patterns, looked up without comparing each with each.

`*` stands for any number of labels, as in Istio and Gateway API (`hosts.suffix_covers`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def suffixes(pattern: str) -> Iterator[str]:
    """Every wildcard that covers a pattern other than itself, most specific first, `*` last."""
    rest = pattern.removeprefix("*.")
    if rest == pattern and "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if pattern != "*":
        yield "*"


class HostIndex(Generic[T]):
    """Values by host pattern (lower case)."""

    def __init__(self) -> None:
        self._at: dict[str, list[T]] = defaultdict(list)
        self._under: dict[str, list[str]] = defaultdict(list)

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __contains__(self, pattern: str) -> bool:
        return pattern in self._at

    def add(self, pattern: str, value: T) -> None:
        """One more value for a pattern."""
        if pattern not in self._at:
            for wildcard in suffixes(pattern):
                self._under[wildcard].append(pattern)
        self._at[pattern].append(value)

    def at(self, pattern: str) -> list[T]:
        """The values of exactly this pattern."""
        return self._at.get(pattern, [])

    def best(self, pattern: str) -> str | None:
        """The most specific pattern that covers all of `pattern`: what Envoy would choose."""
        if pattern in self._at:
            return pattern
        return next((wildcard for wildcard in suffixes(pattern) if wildcard in self._at), None)

    def above(self, pattern: str) -> Iterator[str]:
        """Every pattern that covers `pattern`, most specific first."""
        if pattern in self._at:
            yield pattern
        yield from (wildcard for wildcard in suffixes(pattern) if wildcard in self._at)

    def below(self, pattern: str) -> list[str]:
        """The patterns that a wildcard covers, other than itself."""
        return self._under.get(pattern, [])

    def overlapping(self, pattern: str) -> Iterator[str]:
        """Every pattern that shares a name with `pattern`."""
        yield from self.above(pattern)
        yield from self.below(pattern)
