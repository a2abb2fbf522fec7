"""The report as plain data, version 1: what `-o json` and `-o yaml` write.

Written out field by field, so that no refactoring changes what programs read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gwdoctor import changes
from gwdoctor.model import Evidence, Field, Finding, Fix, Origin, Proof, Ref, Report, Severity, Skip
from gwdoctor.version import __version__

VERSION = 1


def document(report: Report) -> dict[str, Any]:
    """The whole report."""
    target = report.target
    whole = {
        "version": VERSION,
        "tool": {"name": "gwdoctor", "version": report.version or __version__},
        "time": report.time or None,
        "target": {
            "context": target.context,
            "server": target.server,
            "user": target.user,
            "namespaces": list(target.namespaces),
        },
        "summary": summary(report),
        "findings": [finding(item) for item in report.findings],
        "not_checked": [skip(item) for item in report.skips],
        "checks": {"run": list(report.ran), "not_applicable": list(report.inapplicable)},
    }
    if report.entry is not None:
        whole["entry"] = msgspec.to_builtins(report.entry)
    return whole


def summary(report: Report) -> dict[str, Any]:
    """Counts: by severity, and of what was and was not looked at."""
    counts = {str(severity): 0 for severity in reversed(Severity)}
    for item in report.findings:
        counts[str(item.severity)] += 1
    return {
        **counts,
        "checks": report.checks,
        "not_applicable": report.not_applicable,
        "objects": report.objects,
        "not_checked": len(report.skips),
        "ignored": report.ignored,
        "incomplete": report.incomplete,
        "seconds": round(report.seconds, 3),
    }


def finding(item: Finding) -> dict[str, Any]:
    """One finding."""
    return {
        "id": item.id,
        "check": item.check,
        "severity": str(item.severity),
        "confidence": str(item.confidence),
        "title": item.title,
        "message": item.message,
        "object": reference(item.field.ref),
        "path": item.field.pointer,
        "origin": origin(item.origin) if item.origin else None,
        "because": [place(spot) for spot in item.because],
        "evidence": [evidence(seen) for seen in item.evidence],
        "fix": fix(item.fix) if item.fix else None,
        "advice": item.advice,
    }


def origin(item: Origin) -> dict[str, Any]:
    """Where in the files that were read it stands."""
    return {"file": item.file, "line": item.line}


def place(spot: Field) -> dict[str, Any]:
    """Where something stands."""
    return {"object": reference(spot.ref), "path": spot.pointer}


def evidence(item: Evidence) -> dict[str, Any]:
    """What the running system said or did."""
    return {
        "source": item.source,
        "object": reference(item.ref),
        "container": item.container or None,
        "text": item.text,
        "count": item.count,
        "last": item.last or None,
    }


def fix(item: Fix) -> dict[str, Any]:
    """A way out: apply the manifests, delete, then run the commands."""
    patches = [changes.kubectl(c) for c in item.changes if changes.is_patched(c, item)]
    return {
        "title": item.title,
        "disposition": item.disposition,
        "manifests": changes.manifests(item),
        "delete": [reference(change.ref) for change in item.changes if change.after is None],
        "commands": [*patches, *item.commands],
        "verified": verified(item.proof) if item.proof else None,
    }


def verified(item: Proof) -> dict[str, Any]:
    """What became of the fix when it was tried in the picture; `clears` is null where it was not."""
    return {"clears": item.clears, "opens": list(item.opens), "unknown": list(item.unknown)}


def skip(item: Skip) -> dict[str, Any]:
    """Something that was not looked at."""
    return {
        "check": item.check or None,
        "reason": item.reason,
        "object": reference(item.ref) if item.ref else None,
        "rbac": dict(item.rbac) if item.rbac else None,
        "problem": item.problem or None,
    }


def reference(ref: Ref) -> dict[str, Any]:
    """Which object; a cluster-scoped one has no namespace."""
    head = {"apiVersion": ref.api_version, "kind": ref.kind.name}
    where = {"namespace": ref.namespace} if ref.namespace else {}
    return {**head, **where, "name": ref.name}
