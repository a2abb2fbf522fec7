"""Two ways out of overlapping servers: one `servers[]` entry for all, or 421 for the strays.

Both were run: istiod's own output for the merged entry and for the filter, in Envoy 1.40 with
Chromium 156 and Firefox 153.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Change, Field, Fix, Resource
from gwdoctor.resolve import hosts, istio_gateways, istio_mesh
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.istio_gateways import Server, Workload

#: More servers than anyone would review in one go.
MOST_SERVERS = 30
#: A list is patched whole: beyond this one changed entry is not to be seen in it.
MOST_ENTRIES = 200

STRICT_LUA = """\
function envoy_on_request(request_handle)
  local info = request_handle:streamInfo()
  local sni = info:requestedServerName()
  if sni == nil or sni == "" then
    return -- plaintext listener, or a client that sent no SNI
  end
  if info:protocol() ~= "HTTP/2" and info:protocol() ~= "HTTP/3" then
    return -- HTTP/1.1 connections are not coalesced
  end
  local host = request_handle:headers():get(":authority")
  if host == nil then
    return
  end
  host = host:lower():gsub(":%d+$", ""):gsub("%.$", "")
  if host ~= sni:lower() then
    request_handle:respond({[":status"] = "421", ["content-type"] = "text/plain"}, "Misdirected Request\\n")
  end
end
"""


def answer_421(workload: Workload, servers: Sequence[Server], cluster: Cluster) -> Fix:
    """An EnvoyFilter on this workload: a request for another host than the SNI is answered 421.

    Clients then repeat it on a connection of its own. Where the namespace of the Pods is not
    known it goes to the root namespace, which with a selector reaches Pods everywhere.
    """
    namespace = workload.namespace or istio_mesh.mesh(cluster).root_namespace
    manifest: dict[str, Any] = {
        "apiVersion": cluster.api_version(kinds.ENVOY_FILTER),
        "kind": "EnvoyFilter",
        "metadata": {"name": _free_name(cluster, namespace), "namespace": namespace},
        "spec": {
            "workloadSelector": {"labels": _labels(workload, servers)},
            "priority": 10,
            "configPatches": [_PATCH],
        },
    }
    return Fix(
        "Answer 421 on a connection opened for another host, so that clients open their own",
        (Change.created(manifest),),
        needs_review=True,
    )


_PATCH: dict[str, Any] = {
    "applyTo": "HTTP_FILTER",
    "match": {
        "context": "GATEWAY",
        "listener": {
            "filterChain": {
                "filter": {
                    "name": "envoy.filters.network.http_connection_manager",
                    "subFilter": {"name": "envoy.filters.http.router"},
                }
            }
        },
    },
    "patch": {
        "operation": "INSERT_BEFORE",
        "value": {
            "name": "envoy.filters.http.lua",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "defaultSourceCode": {"inlineString": STRICT_LUA},
            },
        },
    },
}


def _free_name(cluster: Cluster, namespace: str) -> str:
    try:
        taken = {f.name for f in cluster.within(kinds.ENVOY_FILTER, namespace)}
    except OutOfView:
        taken = set()
    names = ("misdirected-request", "misdirected-request-421", "gwdoctor-misdirected-request")
    return next((name for name in names if name not in taken), names[-1])


def _labels(workload: Workload, servers: Iterable[Server]) -> dict[str, str]:
    """Labels that select the workload: what its Gateways select it by, if they say anything."""
    wanted: dict[str, str] = {}
    for server in servers:
        if not server.is_listener:
            wanted |= server.owner.labels("spec", "selector")
    name = workload.labels.get(istio_gateways.GATEWAY_NAME)
    if not wanted and name:
        wanted = {istio_gateways.GATEWAY_NAME: name}
    return dict(sorted((wanted or workload.labels).items()))


# --- one entry ---------------------------------------------------------------------------


def one_entry(servers: Sequence[Server], cluster: Cluster) -> Fix | None:
    """All hosts in the oldest of these servers; None where one entry cannot hold them.

    One entry has one TLS block, so they must agree in it, in port and in selector. The oldest
    takes the others in, so that nothing is dropped while both stand. VirtualServices follow
    their hosts, and a Gateway goes when it has no server left.
    """
    first, rest = servers[0], servers[1:]
    if len(servers) > MOST_SERVERS or not all(_alike(first, server) for server in rest):
        return None
    gateways = {server.owner: None for server in servers}
    if any(len(_list(g.at("spec", "servers").value)) > MOST_ENTRIES for g in gateways):
        return None
    moved = [gateway for gateway in gateways if gateway != first.owner]
    try:
        routes = _routes(cluster, gateways) if moved else ()
    except OutOfView:
        return None  # who else is bound to the Gateways is not known
    if not all(_stays_in_bounds(first, servers, route) for route in routes):
        return None
    changes = [_extended(first, servers)]
    deleted = []
    emptied = set()
    for gateway in moved:
        entries = {server.field.path[-1] for server in rest if server.owner == gateway}
        left = [
            entry
            for number, entry in enumerate(_list(gateway.manifest()["spec"]["servers"]))
            if number not in entries
        ]
        if left:
            changes.append(gateway.changed("spec", "servers", to=left))
        else:
            deleted.append(gateway.deleted())
            emptied.add((gateway.namespace, gateway.name))
    homes = {(gateway.namespace, gateway.name) for gateway in moved}
    target = (first.owner.namespace, first.owner.name)
    changes += [
        change
        for route in routes
        if (change := _rebound(route, homes, emptied, target)) is not None
    ]
    others = ", ".join(f"{gateway.namespace}/{gateway.name}" for gateway in moved)
    title = (
        f"Serve all these hosts from one server entry, in Gateway {target[0]}/{target[1]}"
        f"{' instead of ' + others if others else ''}"
    )
    return Fix(title, (*changes, *deleted), needs_review=True)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _alike(first: Server, other: Server) -> bool:
    """Whether one entry could stand for both."""
    if first.is_listener or other.is_listener:
        return False
    same = (
        first.number == other.number,
        first.protocol == other.protocol,
        first.bind == other.bind,
        first.field.at("tls").value == other.field.at("tls").value,
        first.owner.labels("spec", "selector") == other.owner.labels("spec", "selector"),
        istio_gateways.mesh_revision(first.owner) == istio_gateways.mesh_revision(other.owner),
        not set(first.names) & set(other.names),
    )
    return all(same)


def _routes(cluster: Cluster, gateways: Iterable[Resource]) -> tuple[Resource, ...]:
    """The VirtualServices that name one of these Gateways, in `spec.gateways` or in a match."""
    cluster.every(kinds.VIRTUAL_SERVICE)
    naming = virtual_services.naming(cluster)
    found = {
        route: None
        for gateway in gateways
        for route in naming.get((gateway.namespace, gateway.name), ())
    }
    return tuple(sorted(found, key=lambda route: route.ref))


def _stays_in_bounds(first: Server, servers: Sequence[Server], route: Resource) -> bool:
    """Whether a VirtualService would serve on the merged entry what it serves now, and no more.

    A host broader than its server's (`*`) would take in the hosts of the others; a host that
    another server of the target Gateway has too would be opened there as well.
    """
    bound = {reference.name for reference in virtual_services.gateway_refs(route)}
    others = [
        server
        for server in (*servers, *istio_gateways.servers_of(first.owner))
        if (server.owner.namespace, server.owner.name) not in bound and not server.redirects
    ]
    return not any(
        hosts.overlap(name, host)
        for host in virtual_services.hosts_of(route)
        for server in others
        for name in server.names
    )


def _extended(first: Server, servers: Sequence[Server]) -> Change:
    """The oldest server with all hosts, and its Gateway without its other entries of these."""
    manifest = first.owner.manifest()
    keep = first.field.path[-1]
    gone = {s.field.path[-1] for s in servers if s.owner == first.owner} - {keep}
    entries = []
    for number, entry in enumerate(_list(manifest["spec"]["servers"])):
        if number == keep:
            entries.append({**entry, "hosts": _hosts(first, servers)})
        elif number not in gone:
            entries.append(entry)
    return first.owner.changed("spec", "servers", to=entries)


def _hosts(first: Server, servers: Sequence[Server]) -> list[str]:
    """All hosts as they are written; `./` means another namespace in another Gateway."""
    found: dict[str, None] = {}
    for server in servers:
        for host in server.field.texts("hosts"):
            if host.startswith("./") and server.owner.namespace != first.owner.namespace:
                host = f"{server.owner.namespace}/{host[2:]}"
            found[host] = None
    return list(found)


def _rebound(
    route: Resource,
    homes: set[tuple[str, str]],
    emptied: set[tuple[str, str]],
    target: tuple[str, str],
) -> Change | None:
    """A VirtualService with the merged Gateway beside those that it names, or in place of them."""
    change: Change | None = None
    spots = [route.at("spec", "gateways")] + [
        match.at("gateways")
        for section in ("http", "tls", "tcp")
        for rule in route.each("spec", section)
        for match in rule.each("match")
        if match.has("gateways")
    ]
    for spot in spots:
        renamed = _renamed(spot, route.namespace, homes, emptied, target)
        if renamed != list(spot.texts()):
            change = (
                change.changed(*spot.path, to=renamed)
                if change
                else route.changed(*spot.path, to=renamed)
            )
    return change


def _renamed(
    spot: Field,
    namespace: str,
    homes: set[tuple[str, str]],
    emptied: set[tuple[str, str]],
    target: tuple[str, str],
) -> list[str]:
    names = [virtual_services.gateway_name(text, namespace) for text in spot.texts()]
    new = target[1] if target[0] == namespace and "." not in target[1] else "/".join(target)
    found: dict[str, None] = {}
    for text, name in zip(spot.texts(), names, strict=True):
        if name not in emptied:
            found[text] = None
        if name in homes and target not in names:
            found[new] = None
    return list(found)
