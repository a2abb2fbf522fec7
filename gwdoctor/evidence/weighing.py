"""What the running system says is the evidence of the finding that it proves.

Static checks say `likely`; where the log, the event or the handshake of the same object shows
the very same, it is certain. Only what no other finding explains stays a finding of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from gwdoctor.model import Confidence, Evidence, Finding, Ref

#: So many quotations stand under a finding.
MOST = 4


def weighed(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, those that only observe something merged into those that they prove.

    What is observed takes a finding back where it shows the opposite.
    """
    findings = list(findings)
    seen = [finding for finding in findings if _only_observes(finding)]
    if not seen:
        return findings
    claims = [
        finding
        for finding in findings
        if not _only_observes(finding)
        and not any(_concerns(observed, finding, observed.refutes) for observed in seen)
    ]
    proofs: dict[int, list[Evidence]] = {}
    alone: list[Finding] = []
    for observed in seen:
        proven = [
            i for i, claim in enumerate(claims) if _concerns(observed, claim, observed.proves)
        ]
        for number in proven:
            proofs.setdefault(number, []).extend(observed.evidence)
        # nothing is hidden under a finding that is told as less than it
        if observed.alone and not any(claims[n].severity >= observed.severity for n in proven):
            alone.append(observed)
    return [
        *(
            _confirmed(claim, proofs[number]) if number in proofs else claim
            for number, claim in enumerate(claims)
        ),
        *alone,
    ]


def refuted(findings: Iterable[Finding]) -> list[tuple[Finding, Finding]]:
    """Each finding that is taken back, and what shows that it is wrong."""
    findings = list(findings)
    seen = [finding for finding in findings if finding.refutes]
    return [
        (claim, observed)
        for observed in seen
        for claim in findings
        if _concerns(observed, claim, observed.refutes)
    ]


def _only_observes(finding: Finding) -> bool:
    return bool(finding.evidence) and bool(finding.proves or finding.refutes)


def _concerns(observed: Finding, claim: Finding, checks: Collection[str]) -> bool:
    """Whether a finding of one of these checks is about an object that the other is about."""
    if claim.check not in checks:
        return False
    where = {_key(observed.field.ref), *map(_key, observed.concerns)}
    about = {_key(claim.field.ref), *(_key(spot.ref) for spot in claim.because)}
    return not where.isdisjoint(about)


def _key(ref: Ref) -> tuple[str, str, str, str]:
    """The object, whichever picture of it was read."""
    return ref.kind.name, ref.kind.group, ref.namespace, ref.name


def _confirmed(claim: Finding, proofs: Iterable[Evidence]) -> Finding:
    quoted = dict.fromkeys((*claim.evidence, *sorted(proofs, key=_order)))
    return replace(claim, confidence=Confidence.CERTAIN, evidence=tuple(quoted)[:MOST])


def _order(proof: Evidence) -> tuple[object, ...]:
    return proof.source, -proof.count, proof.ref, proof.container, proof.text, proof.last
