"""The report as Report objects (openreports.io), or as PolicyReport where only those are known.

All of them stand in the namespace of the CronJob, which owns them: Kubernetes knows no owner in
another namespace. Where they are to stand beside what they are about (`spread`), nobody owns them,
and only the run itself takes away what is out of date.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gwdoctor.delivery import history
from gwdoctor.delivery.history import Known, Memory, News
from gwdoctor.delivery.summary import cut
from gwdoctor.model import Finding, Report, Severity
from gwdoctor.render.document import reference
from gwdoctor.render.words import visible

Manifest = dict[str, Any]

SOURCE = "gwdoctor"
#: Results a report: about 250 KB, far below what etcd takes.
MOST_RESULTS = 250
#: Characters of a message or a property.
MOST_TEXT = 1024
MEMORY = "gwdoctor.io/memory"
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True, slots=True)
class Api:
    """One of the two APIs that take reports, the newer first."""

    group: str
    version: str
    kind: str  #: in a namespace
    cluster_kind: str

    @property
    def api_version(self) -> str:
        """As in a manifest."""
        return f"{self.group}/{self.version}"


OPENREPORTS = Api("openreports.io", "v1alpha1", "Report", "ClusterReport")
POLICY_REPORTS = Api("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "ClusterPolicyReport")
APIS = (OPENREPORTS, POLICY_REPORTS)


def selector(home: str) -> str:
    """The labels by which the reports of one CronJob are found again."""
    return f"{MANAGED_BY}={SOURCE},{INSTANCE}={home}"


def manifests(
    report: Report, news: News, memory: Memory, *, api: Api, home: str, spread: bool
) -> list[Manifest]:
    """The reports, at most 250 results each, one set for each namespace that has findings.

    What belongs to no namespace, and what was not checked, stands in the set without one; its
    first report is always there, and remembers the run.
    """
    results: dict[str, list[Manifest]] = defaultdict(list)
    results[""] = []
    for finding in report.findings:
        results[finding.field.ref.namespace].append(_result(finding, news))
    results[""] += [_unknown(known) for known in news.unknown]
    results[""] += list(_not_checked(report))
    made = []
    for namespace, of_namespace in sorted(results.items()):
        parts = list(_parts(of_namespace)) or [[]]
        for number, part in enumerate(parts, 1):
            made.append(_report(part, namespace, number, api=api, home=home, spread=spread))
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


# --- one report --------------------------------------------------------------------------


def _report(
    results: list[Manifest], namespace: str, number: int, *, api: Api, home: str, spread: bool
) -> Manifest:
    at = namespace if spread else home
    name = ".".join([SOURCE, *([namespace] if namespace else []), str(number)])
    metadata: Manifest = {"name": name, **({"namespace": at} if at else {})}
    metadata["labels"] = {MANAGED_BY: SOURCE, INSTANCE: home}
    counted = Counter(result["result"] for result in results)
    words = ("pass", "fail", "warn", "error", "skip")
    manifest: Manifest = {
        "apiVersion": api.api_version,
        "kind": api.kind if at else api.cluster_kind,
        "metadata": metadata,
        "summary": {word: counted[word] for word in words},
        "results": results,
    }
    if api is OPENREPORTS:
        manifest["source"] = SOURCE
    if namespace:
        manifest["scope"] = {"apiVersion": "v1", "kind": "Namespace", "name": namespace}
    return manifest


def _result(finding: Finding, news: News) -> Manifest:
    return {
        "source": SOURCE,
        "policy": finding.check,
        "category": finding.check.partition("/")[0],
        "severity": str(finding.severity),
        "result": "warn" if finding.severity == Severity.LOW else "fail",
        "scored": True,
        "timestamp": _timestamp(news.first_seen.get(finding.id, "")),
        "message": cut(visible(finding.message), MOST_TEXT),
        "resources": [reference(finding.field.ref)],
        "properties": {
            "id": finding.id,
            "title": cut(visible(finding.title), MOST_TEXT),
            "object": cut(visible(str(finding.field.ref)), MOST_TEXT),
            "path": cut(visible(finding.field.pointer), MOST_TEXT),
            "confidence": str(finding.confidence),
            "firstSeen": news.first_seen.get(finding.id, ""),
        },
    }


def _unknown(known: Known) -> Manifest:
    """A finding of before that nobody could look for this time: neither there nor gone."""
    return {
        "source": SOURCE,
        "policy": known.check,
        "category": known.check.partition("/")[0],
        **({"severity": known.severity} if known.severity else {}),
        "result": "skip",
        "scored": False,
        "timestamp": _timestamp(known.since),
        "message": "seen before, and not looked at in this run",
        "properties": {
            "id": known.id,
            "title": known.title,
            "object": known.object,
            "firstSeen": known.since,
        },
    }


def _not_checked(report: Report) -> Iterator[Manifest]:
    """One result a check that could not see everything."""
    reasons: dict[str, list[str]] = defaultdict(list)
    rules: dict[str, list[str]] = defaultdict(list)
    for skip in report.skips:
        told = f"{skip.ref}: {skip.reason}" if skip.ref else skip.reason
        reasons[skip.check or "input"].append(told)
        if skip.rbac:
            rules[skip.check or "input"].append(json.dumps(dict(skip.rbac), sort_keys=True))
    bugs = {skip.check for skip in report.skips if skip.is_bug}
    for check, why in sorted(reasons.items()):
        rbac = "; ".join(dict.fromkeys(rules[check]))
        yield {
            "source": SOURCE,
            "policy": check,
            "category": check.partition("/")[0],
            "result": "error" if check in bugs else "skip",
            "scored": False,
            "message": cut(visible("; ".join(dict.fromkeys(why))), MOST_TEXT),
            **({"properties": {"rbac": cut(rbac, MOST_TEXT)}} if rbac else {}),
        }


def _timestamp(text: str) -> Manifest:
    """Not RFC 3339, as everywhere else, but a pair of numbers."""
    try:
        seconds = int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
    except ValueError:
        seconds = 0
    return {"seconds": seconds, "nanos": 0}


def _parts(results: list[Manifest]) -> Iterator[list[Manifest]]:
    for start in range(0, len(results), MOST_RESULTS):
        yield results[start : start + MOST_RESULTS]
