"""What a benchmark found as names and numbers, so that two of them can be laid side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.cache import Unavailable

Figures = dict[str, float]


def write(file: Path, figures: Figures, details: Mapping[str, object]) -> None:
    """The figures, and all that they were made from."""
    file.write_text(json.dumps({"figures": figures, **details}, indent=1) + "\n")


def read(file: Path) -> Figures:
    """The figures of a file that `write` made. Raises Unavailable."""
    try:
        figures = json.loads(file.read_text())["figures"]
        return {str(name): float(value) for name, value in figures.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise Unavailable(f"{file} is no file that hack/bench --json wrote: {problem}") from None


def compared(then: Figures, now: Figures) -> Iterator[str]:
    """A line for each figure that both have, in the order of now; then what only one of them has."""
    width = max(map(len, now), default=0)
    yield f"{'':{width}}{'then':>12}{'now':>12}{'change':>9}"
    for name, value in now.items():
        if name in then:
            yield f"{name:{width}}{then[name]:>12.3f}{value:>12.3f}{_change(then[name], value):>9}"
    for name in now.keys() - then.keys():
        yield f"{name:{width}}{'':>12}{now[name]:>12.3f}"
    for name in then.keys() - now.keys():
        yield f"{name:{width}}{then[name]:>12.3f}"


def _change(then: float, now: float) -> str:
    return f"{now / then - 1:+.0%}" if then else ""
