"""What a check is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import (
    Confidence,
    Evidence,
    Field,
    Finding,
    Fix,
    Kind,
    Ref,
    Resource,
    Severity,
    Skip,
)

_clean = cache(inspect.cleandoc)  # a page is asked for with every finding


class Probe:
    """One question about a cluster. Override `check`, or `run` to compare subjects.

    The docstring is the page of the check: the first line is the consequence. A finding is at
    most as severe as `severity`.
    """

    severity: ClassVar[Severity]
    confidence: ClassVar[Confidence] = Confidence.LIKELY
    subjects: ClassVar[tuple[Kind, ...]]
    needs: ClassVar[tuple[Kind, ...]] = ()
    symptoms: ClassVar[tuple[str, ...]] = ()  #: what its victims read in a browser, curl or log
    proof: ClassVar[str] = ""  #: a jq program over `kubectl get -o json` that shows the same

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Look at one subject."""
        raise NotImplementedError

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Look at all subjects together, in place of `check`."""
        raise NotImplementedError

    def look(self, subjects: Sequence[Resource], cluster: Cluster) -> Iterator[Finding | Skip]:
        """Look at each of these; one that cannot be judged does not hide the next."""
        for subject in subjects:
            try:
                yield from self.check(subject, cluster)
            except OutOfView as hidden:
                yield self.skip(hidden, subject)

    @classmethod
    def id(cls) -> str:
        """`family/what-is-wrong`, from where the class lives."""
        family, name = cls.__module__.split(".")[-2:]
        return f"{family}/{name}".replace("_", "-")

    @classmethod
    def doc(cls) -> str:
        """The page, in Markdown."""
        return _clean(cls.__doc__ or "")

    @classmethod
    def title(cls) -> str:
        """The first line of the page."""
        return cls.doc().partition("\n")[0]

    @classmethod
    def example(cls, which: str) -> str:
        """The ```yaml bad``` or ```yaml fixed``` block of the page; raises LookupError."""
        found = re.search(rf"```yaml {which}\n(.*?)```", cls.doc(), re.DOTALL)
        if not found:
            raise LookupError(f"{cls.id()} has no {which!r} example")
        return found[1]

    @classmethod
    def reads(cls) -> tuple[Kind, ...]:
        """Every kind that it may ask for."""
        return (*cls.subjects, *cls.needs)

    @classmethod
    def observes(cls) -> bool:
        """Whether it looks at what the running system said or did, and not at what is declared."""
        return all(kind in kinds.OBSERVED for kind in cls.subjects)

    def finding(
        self,
        field: Field,
        message: str,
        *,
        root: Resource | None = None,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        because: tuple[Field, ...] = (),
        fix: Fix | None = None,
        advice: str = "",
        title: str = "",
        marker: str = "",
        evidence: tuple[Evidence, ...] = (),
        proves: tuple[str, ...] = (),
        concerns: tuple[Ref, ...] = (),
        alone: bool = True,
        refutes: tuple[str, ...] = (),
    ) -> Finding:
        """A finding of this check. `root` is the object that `field` stands in."""
        return Finding(
            check=self.id(),
            title=title or self.title().rstrip("."),
            severity=self.severity if severity is None else severity,
            confidence=self.confidence if confidence is None else confidence,
            field=field,
            message=message,
            because=because,
            fix=fix,
            advice=advice,
            marker=marker,
            root=root,
            evidence=evidence,
            proves=proves,
            concerns=concerns,
            alone=alone,
            refutes=refutes,
        )

    def skip(self, hidden: OutOfView, subject: Field | None = None) -> Skip:
        """What could not be judged, and the right that would let us."""
        return Skip(
            check=self.id(),
            reason=str(hidden),
            ref=subject.ref if subject is not None else None,
            rbac=hidden.gap.rbac,
        )
