"""The report as JUnit XML: a suite a family, a test case a check.

A check that found something has failed, whatever `--fail-on` says; what it found is in the text.
One that could not look is skipped, with the reason, so that a right that lacks shows in a CI.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree

from gwdoctor.model import Finding, Report, Skip
from gwdoctor.render import words
from gwdoctor.render.words import count, visible

#: The test case of what belongs to no check: documents that could not be read.
INPUT = "input/documents"
_NOT_INSTALLED = "the kinds that it looks at are not installed"


def render(report: Report) -> str:
    """ASCII; what cannot be seen is a visible escape, because XML has no way to say it."""
    root = ElementTree.Element("testsuites", name="gwdoctor")
    cases = dict(_cases(report))
    for family, names in groupby(sorted(cases), key=lambda name: name.partition("/")[0]):
        suite = ElementTree.SubElement(root, "testsuite", name=family)
        if report.time:
            suite.set("timestamp", report.time.removesuffix("Z"))
        suite.extend(cases[name] for name in names)
        _count(suite, suite)
    _count(root, root)
    root.set("time", f"{report.seconds:.3f}")
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return data.decode("ascii") + "\n"


def _count(element: ElementTree.Element, within: ElementTree.Element) -> None:
    element.set("tests", str(len(list(within.iter("testcase")))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(list(within.iter(tag)))))


def _cases(report: Report) -> Iterator[tuple[str, ElementTree.Element]]:
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.check, []).append(finding)
    unseen: dict[str, list[Skip]] = {}
    for skip in report.skips:
        unseen.setdefault(skip.check or INPUT, []).append(skip)
    inapplicable = frozenset(report.inapplicable)
    for name in sorted({*report.ran, *inapplicable, *found, *unseen}):
        case = ElementTree.Element(
            "testcase", classname=f"gwdoctor.{name.partition('/')[0]}", name=name
        )
        findings, skips = found.get(name, []), unseen.get(name, [])
        if findings:
            _fail(case, findings, skips)
        elif skips:
            _skip(case, skips)
        elif name in inapplicable:
            ElementTree.SubElement(case, "skipped", message=_NOT_INSTALLED)
        yield name, case


def _fail(case: ElementTree.Element, findings: list[Finding], skips: list[Skip]) -> None:
    worst = findings[0]  # they come worst first
    failure = ElementTree.SubElement(
        case,
        "failure",
        type=str(worst.severity),
        message=f"{count(len(findings), 'finding')}: {_told(worst)}",
    )
    failure.text = "\n" + "\n\n".join("\n".join(_lines(finding)) for finding in findings) + "\n"
    if skips:
        ElementTree.SubElement(case, "system-out").text = _reasons(skips)


def _skip(case: ElementTree.Element, skips: list[Skip]) -> None:
    """A check that broke is an error: nobody has left anything out."""
    tag = "error" if any(skip.is_bug for skip in skips) else "skipped"
    others = f" (and {len(skips) - 1} more)" if len(skips) > 1 else ""
    message = f"{visible(skips[0].reason)}{others}"
    ElementTree.SubElement(case, tag, message=message).text = _reasons(skips)


def _told(finding: Finding) -> str:
    return f"{words.name(finding.field.ref)}: {visible(finding.message)}"


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity}  {finding.id}  {_told(finding)}"
    if finding.origin:
        yield f"  in {visible(finding.origin.file)}:{finding.origin.line}"
    yield from (f"  because: {words.place(other)}" for other in finding.because)
    yield from (f"  evidence: {words.evidence(seen)}" for seen in finding.evidence)
    yield from (f"  {line}".rstrip() for line in words.remedy(finding))


def _reasons(skips: list[Skip]) -> str:
    lines = (f"not checked: {line}" for group in words.unseen(skips) for line in group.lines())
    return "\n" + "\n".join(lines) + "\n"
