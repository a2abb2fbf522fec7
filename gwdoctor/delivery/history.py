"""What is new and what is fixed since the last report, without a database.

A report remembers its findings by id, and since when each is seen. A finding that is gone counts
as fixed only where its check saw as much as last time: what could not be looked at is not healed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from gwdoctor.model import Finding, Report, Skip

VERSION = 1
#: Blind spots of one check that are told apart; of more, only whether they are the same.
_MOST_SPOTS = 50


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finding of an earlier report, as far as it is remembered."""

    id: str
    check: str = ""
    severity: str = ""
    object: str = ""
    title: str = ""
    since: str = ""  #: when it was seen first, RFC 3339


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a report leaves for the next one."""

    version: int = VERSION
    taken: str = ""
    scope: str = ""  #: what was asked for; reports on something else cannot be compared
    known: tuple[Known, ...] = ()
    blind: dict[str, list[str]] = {}  #: by check, digests of what it could not see


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A report beside the one before it."""

    new: tuple[Finding, ...] = ()
    still: tuple[Finding, ...] = ()
    fixed: tuple[Known, ...] = ()
    unknown: tuple[Known, ...] = ()  #: gone from the report, but not looked for as last time
    since: str = ""  #: when the last report was taken; empty where there is none to compare with
    first_seen: Mapping[str, str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    @property
    def is_first(self) -> bool:
        """Whether there is no report to compare with."""
        return not self.since

    @property
    def is_any(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.new or self.fixed)


def scope_of(*asked: object) -> str:
    """A short name for what a run is about."""
    return _digest(repr(asked), 16)


def moment(now: datetime) -> str:
    """RFC 3339 in UTC, as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compared(
    report: Report,
    last: Memory | None,
    *,
    scope: str,
    checks: Collection[str],
    now: datetime,
) -> News:
    """The report beside what is remembered of the last one.

    `checks` are those of this run: of a check that is no longer there nothing is told.
    """
    last = last or Memory()
    comparable = bool(last.taken) and last.scope == scope
    before = {known.id: known for known in last.known}
    taken = moment(now)
    first_seen = {
        finding.id: before[finding.id].since if finding.id in before else taken
        for finding in report.findings
    }
    blind = blind_spots(report.skips)
    fixed: list[Known] = []
    unknown: list[Known] = []
    for known in last.known if comparable else ():
        if known.id in first_seen or known.check not in checks:
            continue
        sees_less = set(blind.get(known.check, ())) - set(last.blind.get(known.check, ()))
        (unknown if sees_less else fixed).append(known)
    for check in {known.check for known in unknown}:  # what was seen was seen with these eyes
        blind[check] = last.blind.get(check, [])
    now_known = (
        Known(
            finding.id,
            finding.check,
            str(finding.severity),
            str(finding.field.ref),
            finding.title,
            first_seen[finding.id],
        )
        for finding in report.findings
    )
    return News(
        new=tuple(f for f in report.findings if f.id not in before),
        still=tuple(f for f in report.findings if f.id in before),
        fixed=tuple(fixed),
        unknown=tuple(unknown),
        since=last.taken if comparable else "",
        first_seen=first_seen,
        memory=Memory(
            taken=taken,
            scope=scope,
            known=(*now_known, *unknown),
            blind={check: spots for check, spots in blind.items() if spots},
        ),
    )


def untold(news: News) -> Memory:
    """What to remember where the news could not be told: the next run finds it new again.

    Today's memory without what is new, and with what is fixed still in it.
    """
    new = {finding.id for finding in news.new}
    return msgspec.structs.replace(
        news.memory,
        known=(*(known for known in news.memory.known if known.id not in new), *news.fixed),
        taken="" if news.is_first else news.memory.taken,  # the next one is the first again
    )


def blind_spots(skips: Iterable[Skip]) -> dict[str, list[str]]:
    """By check, what it could not see; as digests, because only equality counts."""
    spots: dict[str, set[str]] = defaultdict(set)
    for skip in skips:
        if skip.check:
            spots[skip.check].add(_digest(f"{skip.reason}\0{skip.ref}", 8))
    return {
        check: sorted(found) if len(found) <= _MOST_SPOTS else [_digest("".join(sorted(found)), 8)]
        for check, found in sorted(spots.items())
    }


def decoded(data: bytes | str | Mapping[str, Any]) -> Memory | None:
    """A memory as it was written, or None for anything else: whoever may write there may break it."""
    try:
        if isinstance(data, Mapping):
            memory = msgspec.convert(data, Memory)
        else:
            memory = msgspec.json.decode(data, type=Memory)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return memory if memory.version == VERSION else None


def encoded(memory: Memory) -> bytes:
    """As it is written."""
    return msgspec.json.encode(memory)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
