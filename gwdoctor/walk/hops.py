"""What a walk is made of: hops, ways of hops, and steps from one redirect to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State, worst
from gwdoctor.model import Field, Finding, Gap, Kind, Ref
from gwdoctor.walk.request import Request


@dataclass(slots=True, eq=False)
class Hop:
    """One station of a request.

    `what` is its sort (listener, certificate, route ...), `field` where it stands, `spots` the
    other fields whose findings concern it; whole objects where they are Resources. `unverified`
    says what of it rests on no verified fact.
    """

    what: str
    says: str
    field: Field | None = None
    state: State = State.OK
    ref: Ref | None = None
    spots: tuple[Field, ...] = ()
    unverified: str = ""
    rbac: Mapping[str, Any] | None = None
    findings: list[Finding] = dataclasses.field(default_factory=list)
    after_break: bool = False  #: it comes behind one that is broken: what would follow

    @property
    def object(self) -> Ref | None:
        """The object that it stands in, or would stand in."""
        return self.field.ref if self.field is not None else self.ref


def unseen(what: str, hidden: OutOfView, ref: Ref | None = None) -> Hop:
    """A hop that could not be looked at, and the rule that would show it."""
    gap = hidden.gap
    return Hop(what, f"not seen: {gap}", state=State.UNSEEN, ref=ref, rbac=gap.rbac)


def elsewhere(cluster: Cluster, *kinds: Kind) -> OutOfView | None:
    """Why there may be more objects of these kinds than are seen; None where there cannot be."""
    for gap in cluster.gaps:
        if gap.kind in kinds and gap.claimed and not gap.name:
            return OutOfView(gap)
    for kind in kinds:
        if cluster.namespaces is not None and cluster.installed(kind):
            return OutOfView(Gap(kind=kind, reason="only some namespaces were read"))
    return None


def missing(what: str, kind: Kind, namespace: str, name: str, field: Field, says: str) -> Hop:
    """A hop that is not there: the reference to it is what one would mend."""
    return Hop(what, says, state=State.BROKEN, ref=Ref(kind, namespace, name), spots=(field,))


@dataclass(slots=True, eq=False)
class Branch:
    """One of the backends that share a route's requests."""

    weight: int
    share: float  #: of all requests, in percent
    hops: list[Hop] = dataclasses.field(default_factory=list)


@dataclass(slots=True, eq=False)
class Redirect:
    """Where the answer sends the client. `to` is the next request, None where it is no web URL."""

    status: int
    location: str
    to: Request | None = None
    step: int | None = None  #: the position of the step that walks it
    loops: bool = False


@dataclass(slots=True, eq=False)
class Way:
    """How one entry of the cluster takes a request.

    `key` tells entries apart over several steps. `is_named`: a listener here has the very host, or
    a route by name or wildcard; `is_covered`: a listener by a wildcard. `answers`: a route takes
    the request.
    """

    system: str
    key: tuple[object, ...]
    name: str
    addresses: tuple[str, ...] = ()
    hops: list[Hop] = dataclasses.field(default_factory=list)
    branches: list[Branch] = dataclasses.field(default_factory=list)
    redirect: Redirect | None = None
    is_named: bool = False
    is_covered: bool = False
    answers: bool = False
    is_elsewhere: bool = False  #: the client connects to an address that is not one of this entry

    def all_hops(self) -> list[Hop]:
        """Its hops, then those of its backends."""
        return [*self.hops, *(hop for branch in self.branches for hop in branch.hops)]

    @property
    def state(self) -> State:
        """The worst of its hops."""
        return worst(hop.state for hop in self.all_hops())

    def mark_after_breaks(self) -> None:
        """Say of every hop behind a broken one that it is what would follow."""
        broken = _marked(self.hops, broken=False)
        for branch in self.branches:
            _marked(branch.hops, broken=broken)


def _marked(hops: Iterable[Hop], *, broken: bool) -> bool:
    for hop in hops:
        hop.after_break = broken
        broken = broken or hop.state is State.BROKEN
    return broken


@dataclass(slots=True, eq=False)
class Near:
    """Something that comes near to taking the request, and why it does not."""

    field: Field
    says: str
    findings: list[Finding] = dataclasses.field(default_factory=list)


@dataclass(slots=True, eq=False)
class Step:
    """A request and the ways that it can take: the first, or one that a redirect leads to."""

    request: Request
    ways: list[Way] = dataclasses.field(default_factory=list)
    near: list[Near] = dataclasses.field(default_factory=list)
    unseen: list[Hop] = dataclasses.field(default_factory=list)  #: what may hold more ways


@dataclass(slots=True, eq=False)
class Walk:
    """The whole: the request that was asked for first, then those that redirects lead to."""

    steps: list[Step]

    def all_hops(self) -> list[Hop]:
        """Every hop, in order."""
        return [hop for step in self.steps for way in step.ways for hop in way.all_hops()]

    @property
    def is_answered(self) -> bool:
        """Whether something takes the request that was asked for."""
        return any(way.answers for way in self.steps[0].ways)

    @property
    def state(self) -> State:
        """The worst of all hops. Where nothing takes the request: broken, if all was seen."""
        states = [hop.state for hop in self.all_hops()]
        hidden = [hop for step in self.steps for hop in step.unseen]
        if not self.is_answered and State.BROKEN not in states:
            states.append(State.UNSEEN if hidden or State.UNSEEN in states else State.BROKEN)
        if hidden:
            states.append(State.UNSEEN)
        return worst(states)
