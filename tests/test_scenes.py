"""The five failures, in memory: exactly what each scene was made for, and silence on its twin.

`live/test_five_failures.py` holds the same against the real API server and the real command.
"""

from __future__ import annotations

import casefile
import certs
import pytest
import scenes

from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.model import Report


def report_of(document: str, state: str) -> Report:
    cluster = casefile.cluster_of(scenes.manifests(document, state, certs.NOW))
    return scan(cluster, list(catalogue().values()))


@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_a_broken_scene_shows_what_it_was_made_for(document: str) -> None:
    report = report_of(document, "broken")

    assert {(f.check, str(f.field.ref)) for f in report.findings} == scenes.EXPECTED[document]
    assert not report.skips


@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_its_healthy_twin_shows_nothing(document: str) -> None:
    report = report_of(document, "healthy")

    assert not [(f.check, f.message) for f in report.findings]
    assert not report.skips
