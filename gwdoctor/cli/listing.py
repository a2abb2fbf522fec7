"""`gwdoctor checks`: the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields

from gwdoctor import stats as statistics
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import stdout, values
from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.probe import Probe


def run(areas: Iterable[str], output: str, *, stats: bool = False) -> int:
    """The command; returns the exit code."""
    form = values.one_of(output, ["text", "json"], "-o")
    probes = _of(areas)
    if stats:
        return _stats(probes, form)
    if form == "json":
        stdout.write(json.dumps([_document(probe) for probe in probes], indent=2) + "\n")
        return 0
    longest = max(len(probe.id()) for probe in probes)
    stdout.write(
        "".join(
            f"{probe.severity!s:8}  {probe.id():{longest}}  {probe.title()}\n" for probe in probes
        )
    )
    return 0


def _stats(probes: list[type[Probe]], form: str) -> int:
    """How many findings of the examples have a fix, and how many fixes hold."""
    rows, source = statistics.count(probes)
    total = statistics.total(rows.values())
    if form == "json":
        whole = {"examples": source, "total": asdict(total)}
        by_check = {name: asdict(row) for name, row in rows.items()}
        stdout.write(json.dumps({**whole, "checks": by_check}, indent=2) + "\n")
        return 0
    names = [*rows, "total"]
    longest = max(map(len, names))
    columns = [field.name for field in fields(total)]
    lines = [f"{'':{longest}}  {'  '.join(column.replace('_', ' ') for column in columns)}"]
    for name, row in zip(names, [*rows.values(), total], strict=True):
        cells = (f"{getattr(row, column):>{len(column)}}" for column in columns)
        lines.append(f"{name:{longest}}  {'  '.join(cells)}")
    stdout.write("\n".join([*lines, "", f"counted over {source}"]) + "\n")
    return 0


def _of(areas: Iterable[str]) -> list[type[Probe]]:
    known = catalogue()
    families = {name.partition("/")[0] for name in known}
    wanted = [area.strip().rstrip("/") for given in areas for area in given.split(",")]
    for area in wanted:
        if area not in families:
            raise Mistake(
                f"--area: there is no family {area!r} among {', '.join(sorted(families))}."
                f"{nearest(area, families)}"
            )
    return [
        probe for name, probe in known.items() if not wanted or name.partition("/")[0] in wanted
    ]


def _document(probe: type[Probe]) -> dict[str, object]:
    return {
        "id": probe.id(),
        "severity": str(probe.severity),
        "confidence": str(probe.confidence),
        "title": probe.title(),
        "reads": [str(kind) for kind in probe.reads()],
        "symptoms": list(probe.symptoms),
    }
