"""The sentences and groups that every rendering for people shares. ASCII, one thought a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gwdoctor import changes
from gwdoctor.model import Evidence, Field, Finding, Proof, Ref, Report, Severity, Skip, Target
from gwdoctor.yamltext.writing import dump


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run ends: the exit code, and why."""

    code: int
    reason: str


def visible(text: str) -> str:
    """Text from a cluster, fit for a terminal: what cannot be seen is written as an escape.

    Control characters, ESC and line ends, marks that turn the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 127
        else ({"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(character) or f"\\x{ord(character):02x}")
    )


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 finding`, `2 findings`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def where(target: Target) -> str:
    """What was scanned: the cluster, as whom, which namespaces."""
    parts = [visible(target.context or target.server or "files")]
    if target.context and target.server:
        parts.append(f"({visible(target.server)})")
    if target.user:
        parts.append(f"as {visible(target.user)}")
    return f"{' '.join(parts)}, {namespaces(target.namespaces)}"


def namespaces(names: tuple[str, ...]) -> str:
    """`all namespaces`, or their names."""
    if names == ("*",):
        return "all namespaces"
    return f"namespace{'s' * (len(names) != 1)} {', '.join(map(visible, names))}"


def verdict(report: Report) -> str:
    """One line: how bad it is, and how much was looked at."""
    return f"{_problems(report)} {_looked_at(report)}"


def _problems(report: Report) -> str:
    without_input = not report.objects and any(s.problem == "missing" for s in report.skips)
    if not report.findings and (without_input or not report.checks):
        return "Nothing was checked."
    severities = [finding.severity for finding in report.findings]
    graded = [
        f"{severities.count(severity)} {severity}"
        for severity in reversed(Severity)
        if severity in severities
    ]
    below = f" ({count(report.ignored, 'finding')} below the thresholds not shown)"
    ignored = below if report.ignored else ""
    if graded:
        return f"{count(len(severities), 'problem')}: {', '.join(graded)}{ignored}."
    if report.skips or report.incomplete:
        return f"No problem found in what could be checked{ignored}; see below for the rest."
    return f"No problem found{ignored}."


def _looked_at(report: Report) -> str:
    parts = [count(report.checks, "check"), count(report.objects, "object")]
    if report.seconds:
        parts.append(f"{report.seconds:.1f} s")
    return ", ".join(parts) + "."


def place(spot: Field) -> str:
    """`Service shop/web /spec/ports/0`."""
    return visible(f"{spot.ref} {spot.pointer}".rstrip())


def name(ref: Ref) -> str:
    """`Service shop/web`."""
    return visible(str(ref))


def evidence(item: Evidence) -> str:
    """`log of Pod kong/proxy-1 (proxy), 3 times, last 2026-11-21 12:00 UTC: the line`."""
    whose = {"event": "event on", "log": "log of", "handshake": "handshake with"}
    about = [f"{whose.get(item.source, 'connection to')} {item.ref}"]
    if item.container:
        about[0] += f" ({item.container})"
    if item.count > 1:
        about.append(f"{item.count} times")
    if item.last:
        about.append(f"last {item.last[:10]} {item.last[11:16]} UTC")
    return visible(f"{', '.join(about)}: {item.text}")


def told(finding: Finding) -> Iterable[str]:
    """What it is, and the way out in a line: for places that have no room for more."""
    yield f"{name(finding.field.ref)}: {visible(finding.message)}"
    if finding.fix:
        yield f"fix ({finding.fix.disposition}): {visible(finding.fix.title)}"
    elif finding.advice:
        yield f"decide: {visible(finding.advice)}"


def remedy(finding: Finding) -> Iterable[str]:
    """The lines of the way out: what to apply, to delete, to run; or what to decide."""
    if finding.fix is None:
        if finding.advice:
            yield f"decide: {visible(finding.advice)}"
        return
    fix = finding.fix
    yield f"fix ({fix.disposition}): {visible(fix.title)}"
    if fix.proof is not None:
        yield f"  {proof(fix.proof)}"
    if finding.advice:
        yield f"  note: {visible(finding.advice)}"
    manifests = changes.manifests(fix)
    if manifests:
        yield f"  # {changes.apply_command(finding.id)}"
    for number, manifest in enumerate(manifests):
        if number:
            yield "  ---"
        yield from (f"  {line}" for line in dump(manifest).splitlines())
    yield from (f"  {visible(command)}" for command in changes.commands(fix))


def proof(tried: Proof) -> str:
    """One line: whether the fix clears its finding and opens no other, by the checks themselves."""
    if tried.holds:
        return "verified: clears it and opens no other finding"
    reasons = [*tried.unknown]
    if tried.clears is False:
        reasons.insert(0, "the finding would still stand")
    if tried.opens:
        reasons.append(f"it would open {', '.join(tried.opens)}")
    return f"not proven: {visible('; '.join(reasons))}"


#: More checks than this are counted, where one reason keeps them all from looking.
_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Unseen:
    """One reason why something was not looked at, and all that it kept from us."""

    reason: str
    checks: tuple[str, ...]
    objects: tuple[str, ...]
    rule: str  #: the RBAC rule that would help, as YAML on one line

    def lines(self, *, wide: bool = False) -> Iterator[str]:
        """What it was, about which objects and for which checks; then the right that would help."""
        about = f" [{', '.join(self.objects)}]" if self.objects else ""
        checks = f" ({self.told_checks(wide=wide)})" if self.checks else ""
        yield f"{self.reason}{about}{checks}"
        if self.rule:
            yield f"a role with this rule shows it: {{{self.rule}}}"

    def told_checks(self, *, wide: bool) -> str:
        """The checks by name; where they are many, how many of each family."""
        if wide or len(self.checks) <= _MOST_NAMES:
            return ", ".join(self.checks)
        families = Counter(check.partition("/")[0] for check in self.checks)
        told = ", ".join(f"{number} of {family}" for family, number in families.items())
        return f"{len(self.checks)} checks: {told}; -o wide names them"


def unseen(skips: Iterable[Skip]) -> list[Unseen]:
    """What was not looked at, one entry a reason, in the order of the report."""
    groups: dict[tuple[str, str], list[Skip]] = {}
    for skip in skips:
        groups.setdefault((skip.reason, rule_of(skip.rbac)), []).append(skip)
    return [
        Unseen(
            visible(reason),
            tuple(dict.fromkeys(skip.check for skip in group if skip.check)),
            tuple(dict.fromkeys(name(skip.ref) for skip in group if skip.ref)),
            rule,
        )
        for (reason, rule), group in groups.items()
    ]


def rule_of(rbac: Mapping[str, Any] | None) -> str:
    """An RBAC rule as YAML on one line; empty for none."""
    if not rbac:
        return ""
    return ", ".join(f"{key}: {json.dumps(value)}" for key, value in rbac.items())


def ending(end: Ending) -> str:
    """The last line."""
    return f"exit {end.code}: {visible(end.reason)}"
