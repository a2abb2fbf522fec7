"""A few of very many, and how many there are: of what thousands of rows have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice


class Pool:
    """Texts, each once, that several places share."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = dict.fromkeys(texts)


def few(pools: Sequence[Pool], most: int) -> tuple[tuple[str, ...], int]:
    """The first of what is in any of these pools, and how many more there are.

    The largest pool, which others may share, is not gone through.
    """
    if not pools:
        return (), 0
    largest = max(pools, key=lambda pool: len(pool.texts))
    others = dict.fromkeys(chain.from_iterable(p.texts for p in pools if p is not largest))
    count = len(largest.texts) + sum(text not in largest.texts for text in others)
    first = tuple(islice(_once(chain.from_iterable(pool.texts for pool in pools)), most))
    return first, count - len(first)


def _once(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text
