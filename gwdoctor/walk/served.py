"""What a gateway really served, beside what its configuration promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.evidence import shown as showing
from gwdoctor.evidence.cleaning import clean
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import certificates
from gwdoctor.walk.hops import Hop, Walk, Way

_Owner = tuple[str, str, str]


def stand_beside(walk: Walk, handshakes: Iterable[Resource], cluster: Cluster) -> None:
    """A hop behind the certificates of each way for every handshake that was made with its entry."""
    made: dict[tuple[_Owner, str], list[Resource]] = defaultdict(list)
    for shown in handshakes:
        if shown.text("purpose") != "entry":  # one with a backend may have no SNI, as a request may
            continue
        owner = tuple(shown.text("owner", key) for key in ("kind", "namespace", "name"))
        made[owner, shown.text("host")].append(shown)  # type: ignore[index]
    for step in walk.steps:
        for way in step.ways if step.request.is_tls else ():
            hops = [
                _hop(shown, cluster)
                for owner in dict.fromkeys(_owners(way))
                for shown in made.get((owner, step.request.sni), ())
            ]
            way.hops[_behind(way) : _behind(way)] = hops


def _owners(way: Way) -> Iterable[_Owner]:
    refs = (hop.object for hop in way.hops)
    return ((ref.kind.name, ref.namespace, ref.name) for ref in refs if ref is not None)


def _behind(way: Way) -> int:
    """The place behind the last hop that speaks of TLS."""
    known = [n for n, hop in enumerate(way.hops) if hop.what in ("listener", "certificate")]
    return known[-1] + 1 if known else len(way.hops)


def _hop(shown: Resource, cluster: Cluster) -> Hop:
    address, problem = shown.text("address"), shown.text("problem")
    leaf = showing.leaf(shown)
    if problem or leaf is None:
        said = f" ({clean(shown.text('told'))})" if shown.text("told") else ""
        return Hop("served", f"{address}: {problem or 'no certificate'}{said}", state=State.BROKEN)
    names = certificates.names(leaf)
    told = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    spoken = ", ".join(filter(None, (shown.text("version"), shown.text("protocol"))))
    says = f"{address}: {told}, until {leaf.text('notAfter')[:10]} ({spoken})"
    promised = _promised(shown, cluster)
    if promised is None or promised.text("sha256") == leaf.text("sha256"):
        return Hop("served", says)
    return Hop("served", f"{says}: not the one in the Secret", state=State.DEGRADED)


def _promised(shown: Resource, cluster: Cluster) -> Field | None:
    """The certificate that should have been served, as far as that is known."""
    name, namespace = shown.text("secret", "name"), shown.text("secret", "namespace")
    try:
        secret = cluster.get(kinds.SECRET, namespace, name) if name else None
    except OutOfView:
        return None
    return certificates.leaf_of(secret) if secret is not None else None
