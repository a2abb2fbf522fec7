"""The report as objects of OpenReports: Report and ClusterReport of openreports.io, or the older
PolicyReport and ClusterPolicyReport of wgpolicyk8s.io.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gwdoctor.model import Finding, Report, Severity
from gwdoctor.render.document import reference
from gwdoctor.render.words import visible
from gwdoctor.yamltext.writing import dump

Manifest = dict[str, Any]

SOURCE = "gwdoctor"
#: Results a report: about 250 KB.
MOST_RESULTS = 250
#: Bytes of the results of a report: etcd takes 1.5 MiB.
MOST_BYTES = 1_000_000
#: Characters of a message or a property.
MOST_TEXT = 1024
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True, slots=True)
class Api:
    """One of the two APIs that take reports."""

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
#: The newer first.
APIS = (OPENREPORTS, POLICY_REPORTS)


def render(report: Report) -> str:
    """For `kubectl apply`: each in the namespace that it is about, the rest in a ClusterReport."""
    first_seen = {finding.id: report.time for finding in report.findings}
    return "---\n".join(map(dump, manifests(report, first_seen)))


def manifests(
    report: Report,
    first_seen: Mapping[str, str],
    *,
    api: Api = OPENREPORTS,
    home: str = "",
    more: Iterable[Manifest] = (),
) -> list[Manifest]:
    """The reports, at most 250 results each, one set for each namespace that has findings.

    What belongs to no namespace, what was not checked, and `more` results stand in the set without
    one; its first report comes first and is always there. With a `home` all stand in that namespace.
    """
    results: dict[str, list[Manifest]] = defaultdict(list)
    results[""] = []
    for finding in report.findings:
        made = _result(finding, first_seen.get(finding.id, ""))
        results[finding.field.ref.namespace].append(made)
    results[""] += [*more, *_not_checked(report)]
    return [
        _report(part, namespace, number, api, home)
        for namespace, of_namespace in sorted(results.items())
        for number, part in enumerate(_parts(of_namespace), 1)
    ]


def cut(text: str) -> str:
    """Text from a cluster, bounded and on one line."""
    text = visible(text)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


def timestamp(text: str) -> Manifest:
    """Not RFC 3339, as everywhere else, but a pair of numbers; nothing where there is no time."""
    try:
        seconds = int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return {}
    return {"timestamp": {"seconds": seconds, "nanos": 0}}


def _report(results: list[Manifest], namespace: str, number: int, api: Api, home: str) -> Manifest:
    at = home or namespace
    name = ".".join([SOURCE, *([namespace] if namespace else []), str(number)])
    metadata: Manifest = {"name": name, **({"namespace": at} if at else {})}
    metadata["labels"] = {MANAGED_BY: SOURCE}
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


def _result(finding: Finding, since: str) -> Manifest:
    return {
        "source": SOURCE,
        "policy": finding.check,
        "category": finding.check.partition("/")[0],
        "severity": str(finding.severity),
        "result": "warn" if finding.severity == Severity.LOW else "fail",
        "scored": True,
        **timestamp(since),
        "message": cut(finding.message),
        "resources": [reference(finding.field.ref)],
        "properties": {
            "id": finding.id,
            "title": cut(finding.title),
            "object": cut(str(finding.field.ref)),
            "path": cut(finding.field.pointer),
            "confidence": str(finding.confidence),
            **({"firstSeen": since} if since else {}),
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
            "message": cut("; ".join(dict.fromkeys(why))),
            **({"properties": {"rbac": cut(rbac)}} if rbac else {}),
        }


def _parts(results: list[Manifest]) -> Iterator[list[Manifest]]:
    """At least one, which may be empty; none too large for etcd, whatever is in the messages."""
    part: list[Manifest] = []
    size = 0
    for result in results:
        bytes_of_it = len(msgspec.json.encode(result))
        if part and (len(part) == MOST_RESULTS or size + bytes_of_it > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(result)
        size += bytes_of_it
    yield part
