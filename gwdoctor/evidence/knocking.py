"""Asks the listeners of the entry for their certificates, as clients do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.evidence import doors
from gwdoctor.evidence.doors import Door, Place, Reuse
from gwdoctor.evidence.listening import Observed
from gwdoctor.kinds import HandshakeView, ObjectView, OwnerView
from gwdoctor.model import Field, Metadata, Ref, Resource, Skip
from gwdoctor.source import handshake, rights
from gwdoctor.source.addresses import Network
from gwdoctor.source.connection import Trouble
from gwdoctor.source.handshake import Shown
from gwdoctor.source.probing import Target
from gwdoctor.source.questions import Questions

#: The checks that judge what is seen; the first is told where something could not be.
CHECKS = ("tls/served-certificate-differs", "tls/handshake-fails")
#: So many probes are made in one run.
MOST = 200


def knock(
    cluster: Cluster,
    questions: Questions,
    *,
    forwarded: bool,
    allowed: Sequence[Network] = (),
    only: str = "",
) -> Observed:
    """A handshake for each host of the entry, at its addresses or (`forwarded`) at its Pods.

    `only`: for this host, wherever it is served, and no other.
    """
    wanted: dict[Target, Door] = {}
    skips: list[Skip] = []
    for door in doors.doors(cluster) if not only else doors.of_host(only, cluster):
        places = door.pods if forwarded else door.addresses
        if not places:
            skips.append(_skip(door, _nowhere(forwarded=forwarded)))
        for place in places:
            wanted.setdefault(_target(place, door.host), door)
    reused = {
        _target(place, reuse.opened, reuse.wanted): reuse
        for reuse in (doors.reuses(cluster) if not only else ())
        for place in (reuse.pods if forwarded else reuse.addresses)[:1]
    }
    chosen = dict(islice(wanted.items(), MOST))
    if len(wanted) > MOST:
        reason = f"only {MOST} of {len(wanted)} handshakes were made; narrow it by -n"
        skips.append(Skip(check=CHECKS[0], reason=reason))
    open_, resources = dict(chosen), []
    asked = (*chosen, *islice(reused, MOST))
    for target, outcome in questions.probes(asked, allowed):
        if target in reused:
            if isinstance(outcome, Shown):
                resources.append(_of_reuse(target, reused[target], outcome))
            continue  # where nothing is reached, the handshakes tell it
        door = open_.pop(target)
        if isinstance(outcome, Shown):
            resources.append(_resource(target, door, outcome))
        else:
            skips.append(_skip(door, f"no handshake: {_told(target, outcome)}", outcome.status))
    skips += [
        _skip(door, "no handshake before the deadline (--timeout)") for door in open_.values()
    ]
    return Observed(resources, skips, incomplete=bool(open_))


def _nowhere(*, forwarded: bool) -> str:
    if forwarded:
        return "no handshake: no Pod is seen that serves it"
    return "no handshake: the cluster names no address of it; try --probe-via port-forward"


def _target(place: Place, host: str, reused_for: str = "") -> Target:
    where = (place.host, place.port, place.namespace, place.pod)
    return Target(*where, host, reused_for=reused_for)


def _told(target: Target, trouble: Trouble) -> str:
    if trouble.status == 403:  # one reason for all, so that it is told once
        return f"a port-forward is needed: {trouble}"
    return f"{_place(target)}: {trouble}"


def _place(target: Target) -> str:
    return str(Place(target.host, target.port, target.namespace, target.pod))


def _skip(door: Door, reason: str, status: int = 0) -> Skip:
    rule = rights.PORT_FORWARD.rule if status == 403 else None
    return Skip(check=CHECKS[0], reason=reason, ref=door.use.root.ref, rbac=rule)


def owner_of(field: Field) -> OwnerView:
    """The field that asks for it."""
    ref = field.ref
    return OwnerView(
        ref.api_version, ref.kind.name, ref.namespace or None, ref.name, list(field.path)
    )


def _resource(target: Target, door: Door, shown: Shown) -> Resource:
    return resource(
        target,
        shown,
        HandshakeView(
            Metadata(),
            purpose="entry",
            owner=owner_of(door.use.field),
            secret=ObjectView("Secret", door.use.name, door.use.namespace),
        ),
    )


def _of_reuse(target: Target, reuse: Reuse, shown: Shown) -> Resource:
    overlap = reuse.overlap
    view = HandshakeView(
        Metadata(),
        purpose="reuse",
        owner=owner_of(overlap.first.spot),
        reusedFor=target.reused_for,
        status=shown.statuses[0],
        ownStatus=shown.statuses[1],
    )
    return resource(target, shown, view)


def resource(target: Target, shown: Shown, view: HandshakeView) -> Resource:
    """What was shown, as an object for a picture."""
    view.host, view.address = target.server_name or None, _place(target)
    view.problem, view.told = shown.problem or None, shown.told or None
    view.version, view.protocol = shown.version or None, shown.protocol or None
    view.certificates = handshake.views(shown.certificates)
    text = f"{view.address} {view.host} {view.purpose} {view.reusedFor}"
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    namespace = (view.owner and view.owner.namespace) or ""
    view.metadata = Metadata(name=name, namespace=namespace)
    return Resource(Ref(kinds.HANDSHAKE, namespace, name, "v1"), (), view)
