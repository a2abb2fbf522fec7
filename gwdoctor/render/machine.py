"""The report for programs: JSON and YAML. ASCII, so the bytes are the same everywhere."""

from __future__ import annotations

import json
from typing import Any

from gwdoctor.yamltext.writing import dump


def as_json(document: Any) -> str:
    """Indented by two; everything that is not ASCII is escaped."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_yaml(document: Any) -> str:
    """One document."""
    return dump(document)
