"""What the lines of Pods' logs say about which objects: a join that is made once a scan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.evidence import signatures, whose
from gwdoctor.evidence.signatures import Match, Signature
from gwdoctor.model import Evidence, Field, Ref, Resource
from gwdoctor.resolve import kong

_EG_ROUTE = re.compile(r"(?:httproute|grpcroute)/(?P<namespace>[^/]+)/(?P<name>[^/]+)/rule/")


@dataclass(frozen=True, slots=True)
class Saying:
    """A line of a log, tied to the objects that it is about."""

    signature: Signature
    facts: Mapping[str, str]
    spot: Field  #: what of it a finding would stand on
    concerns: tuple[Ref, ...]
    evidence: Evidence

    @property
    def consequence(self) -> str:
        """What it means, in words."""
        return self.signature.consequence.format_map(_Facts(self.facts))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "a host" if key in ("host", "sni") else "somewhere"


def sayings(cluster: Cluster) -> Iterator[Saying]:
    """Everything that the logs say and that is about something in this picture."""
    for log in cluster[kinds.POD_LOG]:
        for container in log.each("containers"):
            for line in container.each("lines"):
                yield from _of_line(log, container.text("name"), line, cluster)


def _of_line(log: Resource, container: str, line: Field, cluster: Cluster) -> Iterator[Saying]:
    text = line.text("text")
    for kind in _LOGS:
        found = signatures.match(text, kind)
        if found is not None:
            break
    else:
        return
    tied = _TIES[_tie_of(found)](found, log, cluster)
    if tied is None:
        return
    spot, concerns = tied
    yield Saying(
        found.signature,
        found.facts,
        spot,
        concerns,
        Evidence(
            source="log",
            ref=Ref(kinds.POD, log.namespace, log.name, "v1"),
            text=signatures.quotation(text),
            container=container,
            count=max(1, line.number("count") or 1),
            last=line.text("last"),
        ),
    )


#: A kept line carries one signature, whoever wrote it: a sidecar's are asked for before a gateway's.
_LOGS = (
    *(signatures.KONG, signatures.SIDECAR, signatures.GATEWAY),
    *(signatures.KONG_CONTROLLER, signatures.CERT_MANAGER),
)
Tied = tuple[Field, tuple[Ref, ...]] | None


def _tie_of(found: Match) -> str:
    name = found.signature.name
    if name in _TIES:
        return name
    return "upstream" if "upstream" in found.facts else "object"


def _upstream(found: Match, _: Resource, cluster: Cluster) -> Tied:
    """The Service behind an address; nothing where the address is none of the cluster's."""
    ports = whose.ports(found.facts["upstream"], cluster)
    scheme = found.facts.get("scheme")
    if scheme:  # a line of before the annotation was changed tells of the past
        ports = [port for port in ports if _still(scheme, port, cluster)]
    if not ports:
        return None
    where = whose.address(found.facts["upstream"])
    pods = whose.pods(where[0], cluster) if where else ()
    return ports[0], (*dict.fromkeys(port.ref for port in ports), *pods)


def _still(scheme: str, port: Field, cluster: Cluster) -> bool:
    service = cluster.find(port.ref)
    if service is None:
        return False
    return (kong.protocol(service) in ("https", "tls", "grpcs", "wss")) == (scheme == "https")


def _receiver(found: Match, log: Resource, cluster: Cluster) -> Tied:
    """The Pod whose sidecar closed the connection, and its Services."""
    own = Ref(kinds.POD, log.namespace, log.name, "v1")
    ports = whose.ports(found.facts.get("to", ""), cluster)
    spot = ports[0] if ports else cluster.find(own)
    if spot is None:
        return None
    return spot, (*dict.fromkeys(port.ref for port in ports), own)


def _servers(found: Match, log: Resource, cluster: Cluster) -> Tied:
    """The servers of both hosts, where the gateway does serve both and they are not one."""
    opened = whose.servers(log, found.facts.get("sni", ""), cluster)
    wanted = whose.servers(log, found.facts.get("host", ""), cluster)
    if not opened or not wanted or set(wanted) <= set(opened):
        return None
    return opened[0], tuple(dict.fromkeys(server.ref for server in (*opened, *wanted)))


def _route(found: Match, _: Resource, cluster: Cluster) -> Tied:
    """The HTTPRoute that Envoy Gateway named its route after."""
    named = _EG_ROUTE.match(found.facts.get("route", ""))
    if named is None:
        return None
    route = cluster.find(Ref(kinds.HTTP_ROUTE, named["namespace"], named["name"]))
    return None if route is None else (route, (route.ref,))


def _object(found: Match, log: Resource, cluster: Cluster) -> Tied:
    """The object that a controller names, or what serves a host; else the Pod itself."""
    namespace, name = found.facts.get("namespace", ""), found.facts.get("name", "")
    objects = list(whose.named(namespace, name, cluster)) if name else []
    if not objects and found.facts.get("host"):
        objects = list(whose.routed(found.facts["host"], cluster))
    if objects:
        return objects[0], tuple(one.ref for one in objects)
    if found.signature.needs_object:
        return None
    pod = cluster.find(Ref(kinds.POD_WHOLE, log.namespace, log.name)) or cluster.find(
        Ref(kinds.POD, log.namespace, log.name)
    )
    return None if pod is None else (pod, (pod.ref,))


_TIES = {
    "upstream": _upstream,
    "object": _object,
    "envoy-no-filter-chain": _receiver,
    "envoy-other-hosts-connection": _servers,
    "envoy-redirect-loop": _route,
}
