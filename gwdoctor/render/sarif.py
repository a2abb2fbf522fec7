"""The report as SARIF 2.1.0, for code scanning and editors.

An object is a logical location, `Kind/namespace/name`. Consumers show results at files, so each has
a physical one, too: the file that the object came from, or, for an object of a cluster, a path
that stands for it, is the same in every run, and says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from gwdoctor import pages
from gwdoctor.catalogue import catalogue
from gwdoctor.model import Confidence, Field, Finding, Ref, Report, Severity, Skip
from gwdoctor.probe import Probe
from gwdoctor.render import document, words
from gwdoctor.render.formats import Style
from gwdoctor.render.words import visible
from gwdoctor.version import __version__

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_STANDS_FOR = {"text": "Stands for an object of a cluster; there is no such file."}
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
#: In the words of GitHub, which sorts alerts by them.
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}
_PRECISIONS = {
    Confidence.CERTAIN: "very-high",
    Confidence.LIKELY: "high",
    Confidence.POSSIBLE: "medium",
}


def render(report: Report, style: Style) -> str:
    """One run. ASCII, as all that is for programs."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, style)]}
    return json.dumps(log, indent=2, allow_nan=False) + "\n"


def _run(report: Report, style: Style) -> dict[str, Any]:
    titles = {finding.check: finding.title for finding in report.findings}
    checks = sorted({*titles, *(skip.check for skip in report.skips if skip.check)})
    numbers = {check: number for number, check in enumerate(checks)}
    where = report.target.context or report.target.server
    driver = {
        "name": "gwdoctor",
        "version": report.version or __version__,
        "rules": [_rule(check, titles.get(check, "")) for check in checks],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"gwdoctor/{visible(where) or 'files'}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, style)],
        "results": [_result(item, numbers[item.check], where) for item in report.findings],
    }


def _rule(check: str, title: str) -> dict[str, Any]:
    """What the page of a check says; of one that this gwdoctor does not know, its title."""
    probe = catalogue().get(check)
    if probe is None:
        return {"id": check, "shortDescription": {"text": visible(title) or check}}
    level = _LEVELS[probe.severity]
    return {
        "id": check,
        "name": probe.__name__,
        "shortDescription": {"text": probe.title()},
        "fullDescription": {"text": _paragraph(probe)},
        "help": {"text": pages.page(probe), "markdown": pages.page(probe)},
        "defaultConfiguration": {"level": level},
        "properties": {
            "tags": ["kubernetes", check.partition("/")[0]],
            "precision": _PRECISIONS[probe.confidence],
            "problem.severity": _PROBLEMS[level],
        },
    }


def _paragraph(probe: type[Probe]) -> str:
    """The mechanism: what stands under the first line of the page."""
    parts = probe.doc().split("\n\n")
    return " ".join(parts[min(1, len(parts) - 1)].split())


def _result(finding: Finding, number: int, where: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": number,
        "kind": "fail",
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain("\n".join(words.told(finding)))},
        "locations": [{**_physical(finding, where), **_logical(finding.field)}],
        "partialFingerprints": {
            "gwdoctorFindingId/v1": finding.id,
            # what GitHub goes by: the finding stays the same when its file is edited
            "primaryLocationLineHash": f"{finding.id.rpartition('-')[2]}:1",
        },
    }
    if finding.because:
        result["relatedLocations"] = [
            {"id": position, "message": {"text": _plain(words.place(spot))}, **_logical(spot)}
            for position, spot in enumerate(finding.because, start=1)
        ]
    result["properties"] = {
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "path": finding.field.pointer,
        "evidence": [document.evidence(seen) for seen in finding.evidence],
        "fix": document.fix(finding.fix) if finding.fix else None,
        "advice": finding.advice,
    }
    return result


def _plain(text: str) -> str:
    """A message is searched for `[text](target)`: what a cluster holds must not be a link."""
    return text.replace("](", "] (")


def _physical(finding: Finding, where: str) -> dict[str, Any]:
    origin = finding.origin
    if origin is None:
        place = {"uri": _path_of(finding.field.ref, where), "description": _STANDS_FOR}
        return {"physicalLocation": {"artifactLocation": place, "region": {"startLine": 1}}}
    artifact = {"uri": _uri(origin.file)}
    region = {"startLine": max(1, origin.line)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _uri(file: str) -> str:
    """A file as a URI: relative as long as it was named so."""
    path = os.path.normpath(file)
    quoted = "/".join(
        quote(part, safe="", errors="backslashreplace") for part in path.split(os.sep)
    )
    return f"file://{quoted}" if os.path.isabs(path) else quoted


def _path_of(ref: Ref, where: str) -> str:
    parts = (where or "cluster", ref.namespace or "cluster-scoped", str(ref.kind), ref.name)
    return "/".join(map(_quoted, parts)) + ".yaml"


def _quoted(text: str) -> str:
    """One step of a path, which `..` would not be."""
    return quote(text, safe="", errors="backslashreplace").replace("..", "%2E%2E") or "_"


def _logical(spot: Field) -> dict[str, Any]:
    ref = spot.ref
    steps = (str(ref.kind), ref.namespace, ref.name)
    return {
        "logicalLocations": [
            {
                "name": visible(ref.name),
                "fullyQualifiedName": visible("/".join(step for step in steps if step)),
                "kind": "resource",
            }
        ]
    }


def _invocation(report: Report, style: Style) -> dict[str, Any]:
    broken = any(skip.is_bug for skip in report.skips)
    invocation: dict[str, Any] = {
        "executionSuccessful": not report.incomplete and not broken,
        "exitCode": int(style.end.code),
        "exitCodeDescription": visible(style.end.reason),
    }
    if report.time:
        invocation["endTimeUtc"] = report.time
    if report.skips:
        invocation["toolExecutionNotifications"] = list(_notifications(report.skips))
    return invocation


def _notifications(skips: Iterable[Skip]) -> Iterator[dict[str, Any]]:
    for skip in skips:
        notification: dict[str, Any] = {
            "level": "error" if skip.is_bug else "warning",
            "message": {"text": _plain(f"not checked: {visible(skip.reason)}")},
        }
        if skip.check:
            notification["associatedRule"] = {"id": skip.check}
        if skip.ref:
            spot = Field(skip.ref, (), None)
            notification["locations"] = [_logical(spot)]
        if skip.rbac:
            notification["properties"] = {"rbac": dict(skip.rbac)}
        yield notification
