"""What the running system says is the evidence of the finding that it proves.

Static checks say `likely`; where the log, the event or the handshake of the same object shows
the very same, it is certain. Only what no other finding explains stays a finding of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gwdoctor.model import Confidence, Evidence, Finding, Ref

#: So many quotations stand under a finding.
MOST = 4


def weighed(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, those that only observe something merged into those that they prove."""
    findings = list(findings)
    seen = [finding for finding in findings if finding.evidence and finding.proves]
    if not seen:
        return findings
    claims = [finding for finding in findings if not (finding.evidence and finding.proves)]
    proofs: dict[int, list[Evidence]] = {}
    alone: list[Finding] = []
    for observed in seen:
        proven = [i for i, claim in enumerate(claims) if _proves(observed, claim)]
        for number in proven:
            proofs.setdefault(number, []).extend(observed.evidence)
        # nothing is hidden under a finding that is told as less than it
        if observed.alone and not any(
            claims[number].severity >= observed.severity for number in proven
        ):
            alone.append(observed)
    return [
        *(
            _confirmed(claim, proofs[number]) if number in proofs else claim
            for number, claim in enumerate(claims)
        ),
        *alone,
    ]


def _proves(observed: Finding, claim: Finding) -> bool:
    if claim.check not in observed.proves:
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
