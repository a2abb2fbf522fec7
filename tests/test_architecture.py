"""Imports point one way."""

from __future__ import annotations

import ast
from pathlib import Path

from gwdoctor.source import keeping

ROOT = Path(__file__).parents[1]
LAYERS = [
    "version",
    "wholefile",
    "yamltext",
    "privatekeys",
    "entry",
    "alarm",
    "model",
    "changes",
    "kinds",
    "cluster",
    "resolve",
    "evidence",
    "walk",
    "probe",
    "rights",
    "drawing",
    "catalogue",
    "symptoms",
    "engine",
    "gather",
    "remedy",
    "owners",
    "stats",
    "pages",
    "render",
    "delivery",
    "deployment",
    "scaffold",
    "docs",
    "completion",
    "cli",
]
FREE = {"__init__", "__main__", "source"}


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_each_layer_imports_only_those_below_it() -> None:
    for file in (ROOT / "gwdoctor").rglob("*.py"):
        layer = file.relative_to(ROOT / "gwdoctor").parts[0].removesuffix(".py")
        if layer in FREE or layer == "checks":
            continue
        assert layer in LAYERS, f"{file} belongs to no layer"
        for name in imports(file):
            if not name.startswith("gwdoctor."):
                continue
            other = name.split(".")[1]
            known = other in LAYERS and layer in LAYERS
            assert not known or LAYERS.index(other) <= LAYERS.index(layer), (
                f"{file.name} imports {name}"
            )


def test_source_knows_only_the_nouns_and_the_kinds() -> None:
    allowed = ("model", "kinds", "privatekeys", "source", "version", "wholefile", "yamltext")
    for file in (ROOT / "gwdoctor" / "source").rglob("*.py"):
        for name in imports(file):
            if name.startswith("gwdoctor."):
                assert name.split(".")[1] in allowed, f"{file.name} imports {name}"


def test_only_the_source_talks_to_the_api_server() -> None:
    for file in [*(ROOT / "gwdoctor").rglob("*.py"), *(ROOT / "checks").rglob("*.py")]:
        if "source" in file.parts:
            continue
        assert not [n for n in imports(file) if n.split(".")[0] == "kubernetes"], file


def test_only_reports_are_written_and_only_in_one_place() -> None:
    writers = {
        file.name
        for file in (ROOT / "gwdoctor").rglob("*.py")
        if "connection.write(" in file.read_text()
    }
    assert writers == {"keeping.py"}
    assert {kind for _, kind in keeping.WRITTEN} == {
        *("ConfigMap", "Report", "ClusterReport", "PolicyReport", "ClusterPolicyReport")
    }


def test_checks_import_only_the_front_door_and_the_joins() -> None:
    standard = {
        "collections",
        "dataclasses",
        "datetime",
        "itertools",
        "re",
        "shlex",
        "typing",
        "json",
        "functools",
        "enum",
        "__future__",
        "difflib",
        "ipaddress",
    }
    for file in (ROOT / "checks").rglob("*.py"):
        for name in imports(file):
            parts = name.split(".")
            front = parts[0] == "gwdoctor" and (
                len(parts) == 2 or parts[1] in ("resolve", "evidence", "checks")
            )
            assert front or parts[0] in standard, f"{file} imports {name}"
