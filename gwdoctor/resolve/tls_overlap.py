"""Which servers of an Istio gateway share HTTP/2 connections that they should not share.

A browser reuses a connection opened for x for a request to y when x's *certificate* covers y and
both names lead to the same address and port. Envoy has chosen x's server by SNI, and answers from
x's routes: 404 where they know no y, or whatever x routes y to. Whether y's own server has the
same Secret, or a certificate at all, does not matter. Measured with Envoy 1.40, the listeners
that istiod 1.32 generates, Chromium 156 and Firefox 153.

Everything is indexed by name: the cost is linear in servers, names and certificates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Gap, Resource
from gwdoctor.resolve import (
    certificates,
    gateway_api,
    hosts,
    istio_gateways,
    istio_virtual_services,
    misdirected,
)
from gwdoctor.resolve.host_index import HostIndex, suffixes
from gwdoctor.resolve.istio_gateways import Server, Socket, Workload
from gwdoctor.resolve.istio_virtual_services import routed

#: What finding overlaps reads, beside `istio_gateways.GATEWAYS`.
READS = tuple(
    dict.fromkeys(
        (
            *istio_gateways.READS,
            *istio_virtual_services.READS,
            *misdirected.READS,
            *gateway_api.ROUTES[:3],
            kinds.LISTENER_SET,
            kinds.NAMESPACE,
            kinds.SECRET,
        )
    )
)


Marks = tuple[str, ...]  #: what connects servers: SANs, or where they are not known the Secret


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate that a server presents: the names that it covers, as far as they are known."""

    key: str  #: equal for the same Secret or file
    sans: tuple[str, ...] | None  #: None where the content could not be read

    def marks(self) -> Marks:
        """Its SANs; `=` and the Secret where they are not known."""
        return (f"={self.key}",) if self.sans is None else self.sans


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Servers of one socket that a connection for one of them can reach wrongly.

    `first`'s certificate covers `name`, which `other` serves and `first` does not route.
    """

    socket: Socket
    servers: tuple[Server, ...]
    first: Server
    opened: str  #: a name of `first` that a connection is opened for
    name: str
    other: Server
    mark: str  #: the SAN that covers it, or `=` and the Secret whose content is not known
    goes_back: str  #: a name of `first` that `other`'s certificate covers; empty for none
    is_one_site: bool

    @property
    def is_read(self) -> bool:
        """Whether the certificate itself was read."""
        return not self.mark.startswith("=")


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """A name that one server routes although, by SNI, it belongs to another."""

    socket: Socket
    wildcard: Server
    name: str
    owner: Server
    taken_by: Resource  #: the route of the wildcard server
    is_same_route: bool  #: whether the owner serves it by that route too
    mark: str  #: what lets a browser reuse the connection; empty for nothing

    @property
    def skips_client_certificate(self) -> bool:
        """Whether the owner's backend is reached without the client certificate it asks for."""
        return self.is_same_route and self.owner.mode == "MUTUAL" and self.wildcard.mode != "MUTUAL"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What overlaps on one workload."""

    overlaps: tuple[Overlap, ...]
    captures: tuple[Capture, ...]


def found(cluster: Cluster) -> Found:
    """Every overlap and capture, once each though several workloads may show it."""
    return cluster.derive(_found)


def _found(cluster: Cluster) -> Found:
    overlaps: dict[frozenset[object], Overlap] = {}
    captures: dict[tuple[object, ...], Capture] = {}
    for workload in istio_gateways.workloads(cluster):
        guards = misdirected.guards(workload, cluster)
        for socket in workload.sockets():
            table = _Table(cluster, socket)
            open_to_reuse = [
                x for x in table.presenting if not any(guard.covers(x) for guard in guards)
            ]
            for overlap in table.overlaps(open_to_reuse):
                overlaps.setdefault(frozenset(s.field for s in overlap.servers), overlap)
            strict = [guard for guard in guards if guard.is_strict]
            for capture in table.captures():
                if not any(guard.covers(capture.wildcard) for guard in strict):
                    key = (capture.wildcard.field, capture.owner.field, capture.name)
                    captures.setdefault(key, capture)
    return Found(tuple(overlaps.values()), tuple(captures.values()))


class _Table:
    """The names of one socket: who owns them by SNI, whose certificates cover them."""

    def __init__(self, cluster: Cluster, socket: Socket) -> None:
        self._cluster = cluster
        self.socket = socket
        self._routed: dict[Server, HostIndex[Resource]] = {}
        self._unseen: set[Server] = set()  #: those whose routes cannot be seen
        self._order = {server: number for number, server in enumerate(socket.servers)}
        chains = [server for server in socket.servers if server.is_tls]
        self.owners = HostIndex[Server]()
        for server in chains:
            for name in server.names:
                self.owners.add(name, server)
        clients = [s for s in chains if s.mode not in ("AUTO_PASSTHROUGH", "ISTIO_MUTUAL")]
        self.names: dict[str, Server] = {}
        self.wildcards: dict[str, Server] = {}
        self._named: dict[Server, list[str]] = defaultdict(list)
        for server in clients:
            self._name(server)
        self.children: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self.children[name.partition(".")[2]].append(name)
        self.presenting: dict[Server, tuple[Presented, ...]] = {}
        self._marks: dict[Server, Marks] = {}
        known_marks: dict[tuple[Presented, ...], Marks] = {}
        for server in clients:
            if server.terminates_https:
                shown = tuple(_presented(cluster, socket.workload, server))
                if shown:
                    self.presenting[server] = shown
                    if shown not in known_marks:
                        marks = (mark for one in shown for mark in one.marks())
                        known_marks[shown] = tuple(dict.fromkeys(marks))
                    self._marks[server] = known_marks[shown]
        self._hits: dict[str, list[tuple[str, Server]]] = {}
        self._sites_of: dict[int, dict[str, set[Server]]] = {}
        self._by_key: dict[str, list[Server]] = defaultdict(list)
        for server, shown in self.presenting.items():
            for certificate in shown:
                self._by_key[certificate.key].append(server)

    def _name(self, server: Server) -> None:
        """The names that clients can mean by a server: its hosts, and what it routes below `*`."""
        for host in server.names:
            below = [host]
            if host.startswith("*"):
                routed = (name for name in self._routed_by(server) if name != "*")
                below = [n for n in routed if hosts.suffix_covers(host, n)] or below
            for name in below:
                known = self.wildcards if name.startswith("*") else self.names
                if name != "*" and name not in known and self._owner(name) is server:
                    known[name] = server
                    self._named[server].append(name)

    def _routed_by(self, server: Server) -> HostIndex[Resource]:
        if server not in self._routed:
            index = self._routed[server] = HostIndex[Resource]()
            try:
                found = routed(server, self.socket.workload.namespace, self._cluster)
            except OutOfView:  # without routes the hosts of the servers must do
                found = ()
                self._unseen.add(server)
            for one in found:
                index.add(one.host, one.route)
        return self._routed[server]

    def _owner(self, name: str) -> Server | None:
        """The server that Envoy chooses for an SNI."""
        best = self.owners.best(name)
        return self.owners.at(best)[0] if best is not None else None

    def hits(self, mark: str) -> list[tuple[str, Server]]:
        """The names that a SAN covers (or that servers with one Secret have), and their owners."""
        if mark not in self._hits:
            self._hits[mark] = list(self._covered(mark))
        return self._hits[mark]

    def _covered(self, mark: str) -> Iterator[tuple[str, Server]]:
        if mark.startswith("="):
            for server in self._by_key[mark[1:]]:
                yield from ((name, server) for name in self._named[server])
            return
        if mark in self.names:
            yield mark, self.names[mark]
            return
        if mark.startswith("*."):
            for name in self.children.get(mark[2:], ()):
                yield name, self.names[name]
        # names that nothing spells out, behind a server and a route with a wildcard
        owner = self._owner(mark)
        if owner is None:
            return
        for pattern in (mark, *suffixes(mark)):
            if self.wildcards.get(pattern) is owner:
                yield mark, owner
                return

    def route(self, server: Server, name: str) -> list[Resource]:
        """The routes of a server that would take a request for this name."""
        index = self._routed_by(server)
        best = index.best(name)
        return index.at(best) if best is not None else []

    def _takers(self, name: str, owner: Server) -> Iterator[Server]:
        """Other servers whose hosts cover a name: they may route what is not theirs by SNI."""
        for pattern in self.owners.above(name):
            yield from (server for server in self.owners.at(pattern) if server is not owner)

    def captures(self) -> Iterator[Capture]:
        """Names that a wildcard server routes although a more specific server has them."""
        for name, owner in self.names.items():
            for taker in self._takers(name, owner):
                own = self.route(owner, name)
                if not own or not taker.terminates_https or taker not in self.presenting:
                    continue
                taken = self.route(taker, name)
                if not taken:
                    continue
                mark = next(
                    (
                        mark
                        for certificate in self.presenting[taker]
                        for mark in certificate.marks()
                        if self._covers(mark, name, owner)
                    ),
                    "",
                )
                shared = next((route for route in taken if route in own), None)
                yield Capture(
                    self.socket,
                    taker,
                    name,
                    owner,
                    shared or taken[0],
                    shared is not None,
                    mark,
                )

    def _covers(self, mark: str, name: str, owner: Server) -> bool:
        if mark.startswith("="):
            return any(p.key == mark[1:] for p in self.presenting.get(owner, ()))
        return hosts.san_covers(mark, name)

    # --- overlaps --------------------------------------------------------------------------

    def overlaps(self, presenting: Iterable[Server]) -> Iterator[Overlap]:
        """Groups of servers between which connections are reused and answered 404."""
        allowed = {server: None for server in presenting if server in self._marks}
        groups = _Groups()
        for marks, members in self._users(allowed):
            self._join(groups, marks, members)
        for members in groups.servers(self._order):
            overlap = self._overlap(members, [s for s in members if s in allowed])
            if overlap is not None:
                yield overlap

    def _users(self, presenting: Iterable[Server]) -> Iterator[tuple[Marks, list[Server]]]:
        """The marks that the same servers present, together, and those servers."""
        alike: dict[int, list[Server]] = defaultdict(list)  # by the one tuple of marks of theirs
        for server in presenting:
            alike[id(self._marks[server])].append(server)
        bearers: dict[str, list[int]] = defaultdict(list)
        for key, servers in alike.items():
            for mark in self._marks[servers[0]]:
                bearers[mark].append(key)
        together: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for mark, keys in bearers.items():
            together[tuple(keys)].append(mark)
        for their_keys, marks in together.items():
            yield tuple(marks), [server for key in their_keys for server in alike[key]]

    def _join(self, groups: _Groups, marks: Marks, users: list[Server]) -> None:
        """Everybody who presents these names, and everybody whose connection they catch."""
        mark, hits = marks[0], list(dict.fromkeys(hit for mark in marks for hit in self.hits(mark)))
        takers = {t for name, owner in hits for t in self._takers(name, owner)} & set(users)
        plain = [user for user in users if user not in takers]
        sources = [*plain, *(taker for taker in takers if self._misses(taker, hits))]
        owners = {owner for _, owner in hits}
        for source in sources if owners else ():
            if len(owners) > 1 or source not in owners:
                groups.join(source, mark)
        # of those that route none of these names, two stand for all
        telling = [*plain[:2], *sources[len(plain) :]]
        for name, owner in hits:
            if any(s is not owner and not self._reaches(s, name) for s in telling):
                groups.join(owner, mark)

    def _takes(self, server: Server, name: str) -> bool:
        """Whether a request for this name would find a route on this server (or may: not seen)."""
        return bool(self.route(server, name)) or server in self._unseen

    def _misses(self, taker: Server, hits: Iterable[tuple[str, Server]]) -> bool:
        return any(owner is not taker and not self._reaches(taker, name) for name, owner in hits)

    def _reaches(self, server: Server, name: str) -> bool:
        covered = any(hosts.suffix_covers(host, name) for host in server.names)
        return covered and self._takes(server, name)

    def _edge(self, source: Server) -> tuple[str, Server, str] | None:
        """(name, owner, mark) of a connection of this server that is reused wrongly."""
        for mark in self._marks[source]:
            for name, owner in self.hits(mark):
                if owner is not source and not self._reaches(source, name):
                    return name, owner, mark
        return None

    def _overlap(self, members: list[Server], sources: list[Server]) -> Overlap | None:
        edges = ((source, self._edge(source)) for source in sources)
        first, edge = next(((s, e) for s, e in edges if e is not None), (None, None))
        if first is None or edge is None:
            return None
        name, other, mark = edge
        back = next(
            (
                name
                for back in (self._marks[other] if other in sources else ())
                for name, owner in self.hits(back)
                if owner is first and not self._reaches(other, name)
            ),
            "",
        )
        return Overlap(
            self.socket,
            tuple(members),
            first,
            (self._named.get(first) or first.names)[0],
            name,
            other,
            mark,
            back,
            self._is_one_site(sources),
        )

    def _is_one_site(self, sources: Iterable[Server]) -> bool:
        """Whether some connection is reused within one site: by navigations, not only by fetches."""
        for source in sources:
            own = {hosts.registrable(name) for name in source.names}
            sites = self._sites(self._marks[source])
            if any(sites.get(site, set()) - {source} for site in own):
                return True
        return False

    def _sites(self, marks: Marks) -> dict[str, set[Server]]:
        """The sites of the names that marks cover, each with (at most two of) their owners."""
        if id(marks) not in self._sites_of:
            sites = self._sites_of[id(marks)] = defaultdict(set)
            for name, owner in (hit for mark in marks for hit in self.hits(mark)):
                site = sites[hosts.registrable(name)]
                if len(site) < 2:
                    site.add(owner)
        return self._sites_of[id(marks)]


class _Groups:
    """Servers joined by marks (union-find)."""

    def __init__(self) -> None:
        self._above: dict[object, object] = {}

    def join(self, first: object, second: object) -> None:
        """Put both into one group."""
        self._above[self._top(first)] = self._top(second)

    def _top(self, item: object) -> object:
        self._above.setdefault(item, item)
        while self._above[item] is not item:
            self._above[item] = self._above[self._above[item]]
            item = self._above[item]
        return item

    def servers(self, order: dict[Server, int]) -> Iterator[list[Server]]:
        """The groups of more than one server, in the order of their first."""
        members: dict[object, list[Server]] = defaultdict(list)
        for item in self._above:
            if isinstance(item, Server):
                members[self._top(item)].append(item)
        groups = [sorted(group, key=order.__getitem__) for group in members.values()]
        yield from sorted((g for g in groups if len(g) > 1), key=lambda g: order[g[0]])


def _presented(cluster: Cluster, workload: Workload, server: Server) -> Iterator[Presented]:
    """The certificates of a server; none for a Secret that is certainly not there."""
    for steps in (("tls", "serverCertificate"), ("tls", "tlsCertificates")):
        if server.field.text(*steps):
            yield Presented(f"file {server.field.text(*steps)}", None)
    for _, namespace, name in istio_gateways.credential_names(server):
        if namespace and not server.is_listener and namespace != workload.namespace:
            continue  # istiod refuses a Secret of another namespace than the Pods'
        where = namespace or workload.namespace
        try:
            secret = (
                cluster.get(kinds.SECRET, where, name)
                if where
                else _somewhere(cluster, name, server.owner.namespace)
            )
        except OutOfView:
            yield Presented(f"{where}/{name}", None)
            continue
        if secret is not None:
            yield cluster.derive(_presented_by, secret)


def _presented_by(_: Cluster, secret: Resource) -> Presented:
    leaf = certificates.leaf_of(secret)
    sans = leaf.texts("dnsNames") if leaf is not None else ()
    return Presented(
        f"{secret.namespace}/{secret.name}", tuple(dict.fromkeys(san.lower() for san in sans))
    )


def _somewhere(cluster: Cluster, name: str, namespace: str) -> Resource | None:
    """The Secret of that name where the namespace of the gateway Pods is not known.

    One beside the Gateway, or else the only one there is; None where there is none for certain.
    Raises OutOfView where it cannot be told.
    """
    by_name = cluster.derive(_secrets_by_name).get(name, [])
    beside = [secret for secret in by_name if secret.namespace == namespace]
    if len(beside or by_name) == 1:
        return (beside or by_name)[0]
    if not by_name:
        cluster.every(kinds.SECRET)
        return None
    raise OutOfView(Gap(kind=kinds.SECRET, name=name, reason="several namespaces have one"))


def _secrets_by_name(cluster: Cluster) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for secret in cluster[kinds.SECRET]:
        found[secret.name].append(secret)
    return found
