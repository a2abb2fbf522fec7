"""A request to a Service from inside the cluster, by its name in DNS."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Ref, Resource
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules, istio_virtual_services
from gwdoctor.walk import backends, istio_backends, istio_http
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, Way, missing, unseen
from gwdoctor.walk.request import Request

#: What it reads.
KINDS = (kinds.VIRTUAL_SERVICE, kinds.NAMESPACE, *backends.KINDS)


def service_named(host: str, cluster: Cluster) -> tuple[str, str] | None:
    """(namespace, name) of the Service that a name stands for; None where it is no such name."""
    labels = host.split(".")
    if len(labels) == 2:
        try:
            known = cluster.get(kinds.NAMESPACE, "", labels[1]) is not None
        except OutOfView:
            known = False
        return (labels[1], labels[0]) if known or _exists(labels, cluster) else None
    if labels[2:3] == ["svc"] and (
        len(labels) == 3 or ".".join(labels[3:]) == istio_mesh.mesh(cluster).domain
    ):
        return labels[1], labels[0]
    return None


def _exists(labels: list[str], cluster: Cluster) -> bool:
    try:
        return cluster.get(kinds.SERVICE, labels[1], labels[0]) is not None
    except OutOfView:
        return False


def ways(request: Request, cluster: Cluster) -> Iterator[Way]:
    """The way of a Pod's request to a Service."""
    key = service_named(request.host, cluster)
    if key is None:
        return
    namespace, name = key
    way = Way("in the cluster", ("mesh", *key), f"Service {namespace}/{name}, from a Pod")
    way.is_named = True
    try:
        service = cluster.get(kinds.SERVICE, namespace, name)
    except OutOfView as hidden:
        way.answers = True
        way.hops.append(unseen("backend", hidden, Ref(kinds.SERVICE, namespace, name, "v1")))
        yield way
        return
    if service is None:
        nowhere = Resource(Ref(kinds.SERVICE, namespace, name, "v1"), (), None)
        way.hops.append(
            missing(
                "backend", kinds.SERVICE, namespace, name, nowhere, "the Service does not exist"
            )
        )
        yield way
        return
    way.answers = True
    port = next(
        (p for p in service.each("spec", "ports") if p.number("port") == request.port), None
    )
    declared = istio_mesh.protocol(port) if port is not None else ""
    if (
        port is not None
        and _meshed(service, port, cluster)
        and _by_mesh(way, service, declared, request, cluster)
    ):
        yield way
        return
    target = Target(service, namespace, name, request.port)
    way.branches = backends.branches([target], _caller(service, port, request, cluster), cluster)
    yield way


def _meshed(service: Resource, port: Field, cluster: Cluster) -> bool:
    try:
        receiver = istio_mtls.receiver(cluster, service, port)
    except OutOfView:
        return False
    return receiver is not None and receiver.membership != "none"


def _by_mesh(
    way: Way, service: Resource, declared: str, request: Request, cluster: Cluster
) -> bool:
    """The VirtualService that sidecars use for the Service: the oldest that has its name."""
    if declared not in istio_mesh.HTTP or not cluster.may_hold(kinds.VIRTUAL_SERVICE):
        return False
    try:
        routes = istio_mesh.by_age(cluster, kinds.VIRTUAL_SERVICE)
    except OutOfView as hidden:
        way.hops.append(unseen("route", hidden))
        return False
    full = istio_mesh.host_of(service, cluster)
    found = [
        route
        for route in routes
        if istio_virtual_services.is_bound_to_mesh(route)
        and any(
            istio_mesh.full_host(h, route.namespace, cluster) == full
            for h in route.texts("spec", "hosts")
        )
    ]
    if not found:
        return False
    route = found[0]
    for rule in route.each("spec", "http"):
        for match in rule.each("match") or (rule.at("match"),):
            wanted = match.texts("gateways")
            if (wanted and "mesh" not in wanted) or match.has("sourceLabels"):
                continue
            if match.number("port") not in (None, request.port):
                continue
            if istio_http.passes_match(match, request):
                winner = istio_http.Tried(route, rule, match, True)
                says = f"for sidecars, rule {winner.number}: {winner}"
                way.hops.append(Hop("route", says, rule, spots=(route,)))
                istio_http.take(way, winner, request, "", request.port, cluster)
                return True
    says = f"no rule for sidecars takes {request.method} {request.path}: 404"
    way.hops.append(Hop("route", says, route.at("spec", "http"), State.BROKEN, spots=(route,)))
    return True


def _caller(service: Resource, port: Field | None, request: Request, cluster: Cluster) -> Caller:
    """Any Pod: with a sidecar it speaks as Istio says, without one as its client does."""
    if port is not None and _meshed(service, port, cluster):
        declared = istio_mesh.protocol(port)
        is_tcp = declared not in istio_mesh.HTTP or request.is_tls
        found = istio_backends.caller("", cluster, is_tcp=is_tcp, is_tls=request.is_tls)
        return Caller(found.speaks, None, istio_rules.ANYWHERE)

    def speaks(service: Resource, port: Field) -> Hop:
        says = "TLS of the client" if request.is_tls else "HTTP in clear text"
        return backends.protocol(says, service, port, cluster, tls=request.is_tls)

    return Caller(speaks)
