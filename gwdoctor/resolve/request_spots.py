"""Which part of the map of requests a field of an object belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from gwdoctor.entry import Hop
from gwdoctor.model import Field, Path, Ref


class Spots:
    """Hops by the places in objects that they stand for."""

    def __init__(self) -> None:
        self._at: dict[Ref, dict[Path, list[Hop]]] = defaultdict(dict)
        self._whole: dict[Ref, list[tuple[Path, Hop]]] = defaultdict(list)

    def add(self, field: Field, hop: Hop, *, whole: bool = False) -> None:
        """A field, with all that is in it, belongs to a hop.

        `whole`: so does the rest of its object, but not the other items of its lists: what is
        wrong with listener 2 of a Gateway is not wrong with listener 1.
        """
        self._at[field.ref].setdefault(field.path, []).append(hop)
        if whole:
            self._whole[field.ref].append((field.path, hop))

    def of(self, field: Field) -> list[Hop]:
        """The hops of the narrowest place that holds a field, each once."""
        at, path = self._at.get(field.ref), field.path
        if at is None:
            return []
        for length in range(len(path), 0, -1):
            if path[:length] in at:
                return _once(at[path[:length]])
        whole = self._whole.get(field.ref, ())
        return _once(hop for own, hop in whole if not _is_beside(own, path))


def _is_beside(own: Path, other: Path) -> bool:
    """Whether two paths part at an item of a list."""
    for one, two in zip(own, other, strict=False):
        if one != two:
            return isinstance(one, int) and isinstance(two, int)
    return False


def _once(hops: Iterable[Hop]) -> list[Hop]:
    return list({id(hop): hop for hop in hops}.values())
