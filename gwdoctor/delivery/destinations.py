"""The words after --report-to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

TERMINATION_LOG = "/dev/termination-log"
CONFIG_MAP = "gwdoctor-report"
#: Reports stand in the namespace of their own object each, not all in that of the CronJob.
SPREAD = "spread"

#: What each kind is, for the help and for mistakes.
KINDS = {
    "termination": "the termination message of the container",
    "configmap": "a ConfigMap with the last runs",
    "openreports": "Report or PolicyReport objects",
    "file": "a JSON file",
    "webhook": "what is new and fixed, as JSON, by POST",
    "slack": "the same for an incoming webhook of Slack",
    "teams": "the same for a workflow of Teams",
    "pushgateway": "metrics for a Pushgateway",
}
HOOKS = ("webhook", "slack", "teams")
#: What remembers the last report, the best first: it is read before anything is written.
MEMORIES = ("configmap", "file", "openreports")
_IN_THE_CLUSTER = ("configmap", "openreports")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadDestination(ValueError):
    """A destination that cannot be used; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One place for a report. `value` is a file, a name, or where the address stands."""

    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind}={self.value}" if self.value else self.kind

    @property
    def is_in_the_cluster(self) -> bool:
        """Whether it is written to the API server."""
        return self.kind in _IN_THE_CLUSTER

    @property
    def variable(self) -> str:
        """The environment variable that holds its address; empty if none does."""
        return self.value.removeprefix("env:") if self.value.startswith("env:") else ""


def parsed(texts: Iterable[str]) -> tuple[Destination, ...]:
    """What --report-to says, each once. Raises BadDestination."""
    found = tuple(dict.fromkeys(_one(text.strip()) for text in texts))
    if any(one.kind in HOOKS for one in found) and not any(one.kind in MEMORIES for one in found):
        raise BadDestination(
            "a webhook tells what is new since the last report, and nothing keeps that one: "
            "add --report-to configmap, openreports or file=FILE"
        )
    for kind in MEMORIES:
        if len([one for one in found if one.kind == kind]) > 1:
            raise BadDestination(f"{kind} is named twice")
    return found


def _one(text: str) -> Destination:
    kind, equals, value = text.partition("=")
    if kind not in KINDS:
        raise BadDestination(f"{kind!r} is none of {', '.join(KINDS)}.")
    if equals and not value:
        raise BadDestination(f"{text} names nothing")
    match kind:
        case "termination":
            return Destination(kind, value or TERMINATION_LOG)
        case "configmap":
            value = value or CONFIG_MAP
            if not _NAME.fullmatch(value):
                raise BadDestination(f"{value!r} cannot be the name of a ConfigMap")
        case "openreports":
            if value not in ("", SPREAD):
                raise BadDestination(f"openreports takes {SPREAD}, not {value!r}")
        case "file":
            if not value or value.endswith("/"):
                raise BadDestination("file needs the name of a file: file=/reports/gwdoctor.json")
        case _:
            _address(kind, value)
    return Destination(kind, value)


def _address(kind: str, value: str) -> None:
    """An address often holds a key, so it stands neither on a command line nor in a manifest."""
    source, _, name = value.partition(":")
    if source == "env" and _VARIABLE.fullmatch(name):
        return
    if source == "file" and PurePosixPath(name).is_absolute():
        return
    raise BadDestination(
        f"the address of {kind} is read from the environment or a file, as it may hold a key: "
        f"{kind}=env:GWDOCTOR_{kind.upper()}_URL or {kind}=file:/etc/gwdoctor/{kind}"
    )
