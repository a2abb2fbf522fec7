"""Each case says, on the line itself, what its check must find there; nothing else may be found."""

from __future__ import annotations

from pathlib import Path

import casefile
import pytest

from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan

CASES = casefile.case_files()


def name(case: Path) -> str:
    return "/".join(case.parts[-3:])


@pytest.mark.parametrize("case", CASES, ids=name)
def test_case(case: Path) -> None:
    text = case.read_text()
    check = f"{case.parent.parent.name}/{case.parent.name}".replace("_", "-")
    hidden = casefile.unseen(text)
    cluster = casefile.cluster_of(
        casefile.documents(text), now=casefile.now_of(text), hidden=hidden
    )

    report = scan(cluster, [catalogue()[check]])

    wanted = casefile.expected(text)
    graded = {(line, check) for line, check, severity in wanted if severity}
    assert casefile.found_on_lines(text, report.findings, graded) == wanted
    assert case.name.startswith("bad" if wanted else "ok")
    if not hidden:
        assert not report.skips
    assert not [skip for skip in report.skips if skip.is_bug]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_no_check_breaks_on_the_cases_of_another(case: Path) -> None:
    text = case.read_text()
    cluster = casefile.cluster_of(casefile.documents(text), now=casefile.now_of(text))

    report = scan(cluster, list(catalogue().values()))

    assert not [skip for skip in report.skips if skip.is_bug]
