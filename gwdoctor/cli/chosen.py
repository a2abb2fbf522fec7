"""Which checks a run is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from gwdoctor.cli import program
from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.probe import Probe


def chosen(
    known: Mapping[str, type[Probe]],
    select: Iterable[str] | None,
    ignore: Iterable[str] | None,
    *,
    flag: str = "--select",
) -> list[type[Probe]]:
    """The checks that --select names, all without it, less those that --ignore names."""
    names = _named(known, select, flag) if select else set(known)
    names -= _named(known, ignore, "--ignore") if ignore else set()
    if not names:
        raise Mistake("no check is left after --select and --ignore")
    return [probe for name, probe in known.items() if name in names]


def _named(known: Collection[str], patterns: Iterable[str], flag: str) -> set[str]:
    found: set[str] = set()
    for pattern in (p.strip() for given in patterns for p in given.split(",")):
        if not pattern:
            continue
        matching = _matching(known, pattern)
        if not matching:
            words = [*known, *(name.partition("/")[0] for name in known)]
            raise Mistake(
                f"{flag}: there is no check {pattern!r}.{nearest(pattern, words)} "
                f"`{program.name()} checks` lists them."
            )
        found |= matching
    return found


def _matching(known: Collection[str], pattern: str) -> set[str]:
    """An id, else a pattern where it is one, else a family, else the beginning of ids."""
    if pattern in known:
        return {pattern}
    if any(sign in pattern for sign in "*?["):
        return {name for name in known if fnmatchcase(name, pattern)}
    family = {name for name in known if name.startswith(f"{pattern.rstrip('/')}/")}
    return family or {name for name in known if name.startswith(pattern)}
