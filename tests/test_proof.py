"""The jq program of document 002's bash scan, held against the check that reads certificates."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import casefile
import jq
import pytest

from gwdoctor import kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan

CHECK = "istio/tls-server-overlap"
FAMILY = casefile.CASES / "istio"
CASES = sorted(FAMILY.glob("*/*.yaml"))


def classic_gateways(text: str) -> list[dict[str, Any]]:
    group = kinds.ISTIO_GATEWAY.group
    found = [
        document
        for document in casefile.documents(text)
        if document["kind"] == "Gateway" and document["apiVersion"].startswith(group)
    ]
    for gateway in found:
        gateway["metadata"].setdefault("namespace", "default")
    return found


def by_jq(gateways: list[dict[str, Any]]) -> set[frozenset[str]]:
    """Groups of servers as the program names them: namespace/gateway/index."""
    listed = {"apiVersion": "v1", "kind": "List", "items": gateways}
    groups = jq.compile(catalogue()[CHECK].proof).input_value(listed).first()
    return {frozenset(group["servers"]) for group in groups}


def by_python(gateways: list[dict[str, Any]]) -> set[frozenset[str]]:
    """The same of the check, where it can see no more than jq: no Secret, no Pod, no Service.

    jq puts equal selectors together only, the check also one that is part of another.
    """
    hidden = (kinds.SECRET, kinds.POD, kinds.POD_WHOLE, kinds.SERVICE)
    report = scan(casefile.cluster_of(gateways, hidden=hidden), [catalogue()[CHECK]])
    selectors = {
        (g["metadata"]["namespace"], g["metadata"]["name"]): g.get("spec", {}).get("selector")
        for g in gateways
    }
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in report.findings:
        for spot in (finding.field, *finding.because):
            owner = (spot.ref.namespace, spot.ref.name)
            groups[finding.id, str(selectors[owner])].append(f"{'/'.join(owner)}/{spot.path[2]}")
    return {frozenset(servers) for servers in groups.values() if len(servers) > 1}


@pytest.mark.parametrize("case", CASES, ids=lambda case: "/".join(case.parts[-2:]))
def test_jq_finds_what_the_check_finds_by_name_alone(case: Path) -> None:
    gateways = classic_gateways(case.read_text())

    told = by_jq(gateways)

    assert told == by_python(gateways)


def test_some_cases_have_something_to_find() -> None:
    found = [case for case in CASES if by_jq(classic_gateways(case.read_text()))]

    assert len(found) > 7


def test_jq_finds_what_the_document_promises() -> None:
    gateways = classic_gateways((FAMILY / "tls_server_overlap/bad_document_002.yaml").read_text())

    groups = jq.compile(catalogue()[CHECK].proof).input_value({"items": gateways}).first()

    assert groups == [
        {
            "credentialName": "shared-cert",
            "port": 443,
            "servers": ["edu-authory/authory-gateway/0", "drawdb/drawdb-gateway/0"],
            "hosts": ["rzzx-test.example.com", "drawdb.example.com"],
        }
    ]
