"""Connections that a Gateway passes on: by SNI (TLSRoute), or whatever they are (TCPRoute)."""

from __future__ import annotations

from collections import defaultdict

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.entry import State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import (
    gateway_api,
)
from gwdoctor.resolve.gateway_api import Listener
from gwdoctor.walk import backends, http_rules, planes, tls
from gwdoctor.walk.backends import Caller, Target
from gwdoctor.walk.hops import Hop, Way
from gwdoctor.walk.request import Request


def pass_through(way: Way, listener: Listener, request: Request, cluster: Cluster) -> None:
    """A connection that is passed on: by SNI (TLSRoute), or whatever it is (TCPRoute)."""
    if listener.tls_mode == "Terminate":
        way.hops += tls.of_listener(listener, request, cluster)
    known = planes.attachments(cluster)
    routes = known.at.get(listener.field, ())
    named: dict[str, list[Resource]] = defaultdict(list)
    for route in routes:
        if route.ref.kind in (kinds.TLS_ROUTE, kinds.TCP_ROUTE):
            shared = gateway_api.shared_hostnames(listener, route)
            fitting = http_rules.best_host(shared, request.sni or request.host)
            if fitting is not None:
                named[fitting].append(route)
    best = http_rules.best_host(named, request.sni or request.host)
    if best is None:
        says = (
            f"no route at this listener has {request.sni or request.host}: the connection is reset"
        )
        way.hops.append(planes.no_route(says, listener, planes.may_hide(listener, cluster)))
        return
    way.is_named = way.is_named or bool(best)
    way.answers = True
    route = min(named[best], key=lambda r: (r.created or "~", r.namespace, r.name))
    rules = route.each("spec", "rules")
    field = rules[0] if rules else route.at("spec", "rules")
    sort = "TLS passes through" if listener.tls_mode == "Passthrough" else "bytes are passed on"
    way.hops.append(Hop("route", f"{best or 'any name'}: {sort}", field, spots=(route,)))
    targets = [
        Target(one.field, one.namespace, one.name, one.port, one.weight, one.kind, referrer=route)
        for one in gateway_api.backend_refs(route)
        if one.rule == field
    ]

    def speaks(service: Resource, port: Field) -> Hop:
        tls_goes_on = request.is_tls and listener.tls_mode != "Terminate"
        says = "TLS of the client" if tls_goes_on else "what the client sends"
        if not request.is_tls and not tls_goes_on:
            return Hop("protocol", says, port)
        return backends.protocol(says, service, port, cluster, tls=tls_goes_on)

    if not targets:
        way.hops.append(Hop("backend", "it names no backend", field, State.BROKEN))
    way.branches = backends.branches(targets, Caller(speaks), cluster)
