"""The page of a check as one reads it: its docstring, and what its class says beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind
from gwdoctor.probe import Probe


def page(probe: type[Probe], *, level: int = 1) -> str:
    """Markdown, with a heading of this level."""
    return "\n".join(_lines(probe, "#" * level)) + "\n"


def _lines(probe: type[Probe], heading: str) -> Iterator[str]:
    yield f"{heading} {probe.id()}"
    yield ""
    yield f"At most **{probe.severity}**, usually **{probe.confidence}**."
    yield ""
    yield probe.doc()
    yield ""
    if probe.symptoms:
        yield "Symptoms:"
        yield ""
        yield from (f"- `{symptom}`" for symptom in probe.symptoms)
        yield ""
    yield f"Reads: {reads(probe)}."
    if probe.proof:
        yield ""
        yield "The same, shown by jq:"
        yield ""
        yield "```sh"
        yield f"{listing(probe)} | jq {shlex.quote(probe.proof.strip())}"
        yield "```"


def reads(probe: type[Probe]) -> str:
    """The kinds that it reads, for people."""
    kinds = dict.fromkeys(str(Kind(kind.name, kind.group)) for kind in probe.reads())
    return ", ".join(kinds)


def listing(probe: type[Probe]) -> str:
    """The kubectl line that prints what the check looks at."""
    names = dict.fromkeys(
        f"{READINGS[kind].plural}.{kind.group}".rstrip(".") for kind in probe.reads()
    )
    return f"kubectl get {','.join(names)} -A -o json"
