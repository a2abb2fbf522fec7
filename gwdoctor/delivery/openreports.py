"""Reports in the cluster (Report or PolicyReport) that remember what the next run compares with.

All of them stand in the namespace of the CronJob, which owns them: Kubernetes knows no owner in
another namespace. Where they are to stand beside what they are about (`spread`), nobody owns them,
and only the run itself takes away what is out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gwdoctor.delivery import history
from gwdoctor.delivery.history import Known, Memory, News
from gwdoctor.model import Report
from gwdoctor.render import openreports
from gwdoctor.render.openreports import INSTANCE, MANAGED_BY, SOURCE, Api

Manifest = dict[str, Any]

MEMORY = "gwdoctor.io/memory"


def selector(home: str) -> str:
    """The labels by which the reports of one CronJob are found again."""
    return f"{MANAGED_BY}={SOURCE},{INSTANCE}={home}"


def manifests(
    report: Report, news: News, memory: Memory, *, api: Api, home: str, spread: bool
) -> list[Manifest]:
    """The reports of this run; the first of them remembers what belongs to no finding."""
    made = openreports.manifests(
        report,
        news.first_seen,
        api=api,
        home="" if spread else home,
        more=map(_unknown, news.unknown),
    )
    for manifest in made:
        manifest["metadata"]["labels"][INSTANCE] = home
    head = msgspec.structs.replace(memory, known=())
    made[0]["metadata"]["annotations"] = {MEMORY: history.encoded(head).decode()}
    return made


def memory_of(reports: Iterable[Mapping[str, Any]]) -> Memory | None:
    """What the reports that are there remember; None where there is none that can be read."""
    reports = list(reports)
    head = next((m for m in map(_head, reports) if m is not None), None)
    if head is None:
        return None
    known = {one.id: one for report in reports for one in _known(report)}
    return msgspec.structs.replace(head, known=tuple(known.values()))


def _head(report: Mapping[str, Any]) -> Memory | None:
    annotations = (report.get("metadata") or {}).get("annotations") or {}
    text = annotations.get(MEMORY)
    return history.decoded(text) if isinstance(text, str) else None


def _known(report: Mapping[str, Any]) -> Iterator[Known]:
    for result in report.get("results") or ():
        properties = result.get("properties") or {}
        if properties.get("id"):
            yield Known(
                str(properties["id"]),
                str(result.get("policy", "")),
                str(result.get("severity", "")),
                str(properties.get("object", "")),
                str(properties.get("title", "")),
                str(properties.get("firstSeen", "")),
            )


def _unknown(known: Known) -> Manifest:
    """A finding of before that nobody could look for this time: neither there nor gone."""
    return {
        "source": SOURCE,
        "policy": known.check,
        "category": known.check.partition("/")[0],
        **({"severity": known.severity} if known.severity else {}),
        "result": "skip",
        "scored": False,
        **openreports.timestamp(known.since),
        "message": "seen before, and not looked at in this run",
        "properties": {
            "id": known.id,
            "title": known.title,
            "object": known.object,
            "firstSeen": known.since,
        },
    }
