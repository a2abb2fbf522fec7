"""The report for programs: JSON and YAML. ASCII, so the bytes are the same everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gwdoctor.model import Report
from gwdoctor.render.document import document as document_of
from gwdoctor.yamltext.writing import dump


def report_as_json(report: Report) -> str:
    """The document of a report, as JSON."""
    return as_json(document_of(report))


def report_as_jsonl(report: Report) -> str:
    """JSON lines, for logs: what the report is about, then each finding and each gap on its own.

    Every line says its `type`; put together they are the document of the report, without the map.
    """
    head = document_of(replace(report, entry=None))
    findings, unseen = head.pop("findings"), head.pop("not_checked")
    lines = [
        {"type": "report", **head},
        *({"type": "finding", **item} for item in findings),
        *({"type": "not_checked", **item} for item in unseen),
    ]
    return "".join(
        json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines
    )


def report_as_yaml(report: Report) -> str:
    """The document of a report, as YAML; without the map, which would take seconds to write."""
    return as_yaml(document_of(replace(report, entry=None)))


def as_json(document: Any) -> str:
    """Indented by two; everything that is not ASCII is escaped."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_yaml(document: Any) -> str:
    """One document."""
    return dump(document)
