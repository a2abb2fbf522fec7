"""The report for programs: JSON and YAML. ASCII, so the bytes are the same everywhere."""

from __future__ import annotations

import json
from typing import Any

from gwdoctor.model import Report
from gwdoctor.render.document import document as document_of
from gwdoctor.yamltext.writing import dump


def report_as_json(report: Report) -> str:
    """The document of a report, as JSON."""
    return as_json(document_of(report))


def report_as_yaml(report: Report) -> str:
    """The document of a report, as YAML."""
    return as_yaml(document_of(report))


def as_json(document: Any) -> str:
    """Indented by two; everything that is not ASCII is escaped."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_yaml(document: Any) -> str:
    """One document."""
    return dump(document)
