"""What the options ask of the running system, and the report with what it said."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from gwdoctor import kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import values
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Input, Running
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.engine import scan
from gwdoctor.evidence import backends, doors, knocking, writers
from gwdoctor.evidence.listening import CHECK, Observed, listen
from gwdoctor.model import Kind, Report, Resource, Skip
from gwdoctor.probe import Probe
from gwdoctor.source.addresses import Network
from gwdoctor.source.podlogs import Limits
from gwdoctor.source.questions import Questions


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be observed beside what the API tells; nothing unless it is asked for."""

    logs: Limits | None = None
    tls: bool = False
    backends: bool = False
    forwarded: bool = False  #: through the API server, not to the addresses
    allowed: tuple[Network, ...] = ()
    host: str = ""  #: the only one that is asked for; empty for every one of the entry

    @classmethod
    def of(cls, running: Running, given: Input) -> Wishes:
        """What these options ask for. Raises Mistake."""
        what = [word for text in running.probe or () for word in text.split(",")]
        asked = {values.one_of(word, ["tls", "backends"], "--probe") for word in what}
        wishes = cls(
            _limits(running) if running.logs else None,
            tls="tls" in asked,
            backends="backends" in asked,
            forwarded=values.one_of(running.probe_via, _WAYS, "--probe-via") == "port-forward",
            allowed=tuple(map(_network, running.probe_allow or ())),
        )
        if wishes.kinds and (given.filename or given.snapshot):
            flag = "--logs" if running.logs else "--probe"
            raise Mistake(f"{flag} asks a running cluster: it does not go with -f and --snapshot")
        return wishes

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of objects that observing makes."""
        made = {
            kinds.POD_LOG: self.logs is not None,
            kinds.HANDSHAKE: self.tls or self.backends,
        }
        return frozenset(kind for kind, is_made in made.items() if is_made)

    @property
    def reads(self) -> frozenset[Kind]:
        """What has to be read to know whom to ask."""
        return frozenset(
            (
                *(writers.READS if self.logs is not None else ()),
                *(doors.READS if self.tls else ()),
                *(backends.READS if self.backends else ()),
            )
        )

    def observers(self) -> list[type[Probe]]:
        """The checks that judge them: they are run to prove others, whether selected or not."""
        return [
            probe for probe in catalogue().values() if not self.kinds.isdisjoint(probe.subjects)
        ]


def _limits(running: Running) -> Limits:
    if running.log_lines < 1:
        raise Mistake("--log-lines: give a number above 0")
    return Limits(values.seconds(running.log_since, "--log-since"), running.log_lines)


_WAYS = ["address", "port-forward"]


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Mistake(f"--probe-allow: {text!r} is no network; write 203.0.113.0/24") from None


def observed(report: Report, seen: Seen, wishes: Wishes, probes: Collection[type[Probe]]) -> Report:
    """The report with what the running system says: as evidence, or as findings of their own."""
    return observe(report, seen, wishes, probes)[0]


def observe(
    report: Report, seen: Seen, wishes: Wishes, probes: Collection[type[Probe]]
) -> tuple[Report, tuple[Resource, ...]]:
    """The same, and all that was observed."""
    if not wishes.kinds or seen.questions is None:
        return report, ()
    cluster = seen.picture.cluster
    found = [_ask(check, ask) for check, ask in _questions(report, cluster, seen.questions, wishes)]
    resources = tuple(resource for one in found for resource in one.resources)
    picture = cluster.after(resources)
    observers = wishes.observers()
    names = {probe.id() for probe in observers}
    earlier = replace(
        report,
        inapplicable=tuple(name for name in report.inapplicable if name not in names),
        skips=(*report.skips, *(skip for one in found for skip in one.skips)),
        incomplete=report.incomplete or any(one.incomplete for one in found),
    )
    later = scan(
        picture,
        observers,
        target=seen.target,
        left=lambda: seen.deadline.left,
        earlier=earlier,
    )
    return _selected(later, probes), resources


_Ask = Callable[[], Observed]


def _questions(
    report: Report, cluster: Cluster, questions: Questions, wishes: Wishes
) -> Iterator[tuple[str, _Ask]]:
    """What is asked, and the check that is told where it cannot be."""
    if wishes.logs is not None:
        yield CHECK, partial(listen, cluster, report.findings, questions, wishes.logs)
    if wishes.tls:
        forwarded, allowed = wishes.forwarded, wishes.allowed
        ask = partial(knocking.knock, cluster, questions, forwarded=forwarded, allowed=allowed)
        yield knocking.CHECKS[0], partial(ask, only=wishes.host)
    if wishes.backends:
        yield backends.CHECK, partial(backends.ask, cluster, questions)


def _ask(check: str, ask: _Ask) -> Observed:
    """What came of it. What cannot be asked, or breaks, must not cost the report of the checks."""
    try:
        return ask()
    except OutOfView as hidden:
        return Observed(skips=(Skip(check=check, reason=str(hidden), rbac=hidden.gap.rbac),))
    except Exception as bug:
        reason = f"gwdoctor failed in asking for it: {type(bug).__name__}: {bug}"
        return Observed(skips=(Skip(check=check, reason=reason, problem="bug"),))


def _selected(report: Report, probes: Iterable[type[Probe]]) -> Report:
    """Without findings of their own from checks that nobody selected."""
    known = {probe.id() for probe in probes}
    return replace(report, findings=tuple(f for f in report.findings if f.check in known))
