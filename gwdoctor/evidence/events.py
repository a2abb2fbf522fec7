"""Events: when they were last seen, and as they are quoted."""

from __future__ import annotations

from datetime import UTC, datetime

from gwdoctor.evidence.cleaning import clean
from gwdoctor.model import Evidence, Field, Ref, Resource
from gwdoctor.resolve import certificates

LONG_AGO = datetime.fromtimestamp(0, UTC)


def last(event: Resource) -> datetime:
    """When it was last seen; long ago where it does not say."""
    for when in (
        event.text("series", "lastObservedTime"),
        event.text("lastTimestamp"),
        event.text("eventTime"),
        event.text("firstTimestamp"),
        event.created,
    ):
        found = certificates.time_of(when)
        if found is not None:
            return found
    return LONG_AGO


def quoted(event: Resource, about: Ref) -> Evidence:
    """The event as evidence."""
    when = last(event)
    return Evidence(
        source="event",
        ref=about,
        text=f"{clean(event.text('reason'), 80)}: {clean(event.text('message'))}",
        count=max(1, event.number("count") or event.number("series", "count") or 1),
        last="" if when == LONG_AGO else f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def is_over(event: Resource, about: Resource) -> bool:
    """Whether it is about an earlier object of that name, or the object says later that all is well."""
    uid = about.text("metadata", "uid")
    if uid and event.text("involvedObject", "uid") not in ("", uid):
        return True
    when = last(event)
    return any(_was_well_later(condition, when) for condition in about.each("status", "conditions"))


#: Conditions of cert-manager, Gateway API and Kong that sum an object up.
_SUMS = frozenset({"Ready", "Programmed", "Accepted"})


def _was_well_later(condition: Field, when: datetime) -> bool:
    if condition.text("type") not in _SUMS or condition.text("status") != "True":
        return False
    since = certificates.time_of(condition.text("lastTransitionTime"))
    return since is not None and since >= when
