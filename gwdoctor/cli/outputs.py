"""`-o`: which formats of a report go where."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from gwdoctor import wholefile
from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.render.formats import FORMATS, Format, names

_STANDARD_OUTPUT = ("-", "/dev/stdout")


@dataclass(frozen=True, slots=True)
class Sink:
    """A format, and the file that it goes to; None is standard output."""

    format: Format
    file: str | None = None


def sinks(given: Iterable[str]) -> tuple[Sink, ...]:
    """What these `FORMAT` and `FORMAT=FILE` ask for. Raises Mistake.

    Also for a file that could not be written: better told before a scan than after it.
    """
    made = tuple(map(_sink, given))
    if sum(sink.file is None for sink in made) > 1:
        raise Mistake("-o: one format can go to standard output; write the others as FORMAT=FILE")
    files: set[str] = set()
    for sink in made:
        if sink.file is None:
            continue
        where = os.path.realpath(sink.file)
        if where in files:
            raise Mistake(f"-o: {sink.file} is named twice")
        files.add(where)
        refusal = wholefile.refusal(sink.file)
        if refusal:
            raise Mistake(f"-o: {sink.file}: {refusal}")
    return made


def _sink(text: str) -> Sink:
    name, equals, file = text.strip().partition("=")
    form = FORMATS.get(name.strip().lower())
    if form is None:
        raise Mistake(f"-o: {name!r} is none of {names()}.{_meant(name, equals)}")
    if equals and not file:
        raise Mistake(f"-o {text}: name a file behind the =")
    return Sink(form, None if file in ("", *_STANDARD_OUTPUT) else file)


def _meant(name: str, equals: str) -> str:
    suffix = os.path.splitext(name)[1].lstrip(".")
    if suffix in FORMATS and not equals:
        return f" Did you mean -o {suffix}={name}?"
    return nearest(name, FORMATS)
