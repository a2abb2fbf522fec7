"""Asks the backends of Kong what they speak: nothing in the API says so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.evidence import knocking
from gwdoctor.evidence.listening import Observed
from gwdoctor.kinds import HandshakeView
from gwdoctor.model import Field, Metadata, Ref, Resource, Skip
from gwdoctor.resolve import kong, services
from gwdoctor.source import rights
from gwdoctor.source.handshake import Shown
from gwdoctor.source.probing import Target
from gwdoctor.source.questions import Questions

#: What finding the backends reads.
READS = (*kong.ENTRY_KINDS, kinds.SERVICE, kinds.ENDPOINT_SLICE)
CHECK = "kong/backend-speaks-otherwise"


def ask(cluster: Cluster, questions: Questions) -> Observed:
    """A handshake with one Pod behind each port that Kong's routes lead to."""
    wanted = dict(islice(_targets(cluster), knocking.MOST))
    open_, resources, skips = dict(wanted), [], []
    for target, outcome in questions.probes(tuple(wanted), ()):
        port = open_.pop(target)
        if isinstance(outcome, Shown):
            view = HandshakeView(Metadata(), purpose="backend", owner=knocking.owner_of(port))
            resources.append(knocking.resource(target, outcome, view))
            continue
        skips.append(
            Skip(
                check=CHECK,
                reason=f"what a port speaks was not asked: {outcome}",
                ref=port.ref,
                rbac=rights.PORT_FORWARD.rule if outcome.status == 403 else None,
            )
        )
    skips += [
        Skip(
            check=CHECK,
            reason="what a port speaks was not asked before the deadline (--timeout)",
            ref=port.ref,
        )
        for port in open_.values()
    ]
    return Observed(resources, skips, incomplete=bool(open_))


def _targets(cluster: Cluster) -> Iterator[tuple[Target, Field]]:
    seen: set[Field] = set()
    for together in kong.rules(cluster).values():
        for entry in together:
            service = cluster.find(Ref(kinds.SERVICE, *entry.service))
            port = kong.port_of(entry, service) if service is not None else None
            if service is None or port is None or port in seen:
                continue
            seen.add(port)
            target = _pod_of(service, port, cluster)
            if target is not None:
                yield target, port


def _pod_of(service: Resource, port: Field, cluster: Cluster) -> Target | None:
    """A Pod that is ready behind this port, and the number that it listens on."""
    try:
        cluster.within(kinds.ENDPOINT_SLICE, service.namespace)
        slices = services.slices(cluster).get((service.namespace, service.name), ())
    except OutOfView:
        return None
    for endpoint_slice in slices:
        for listening in endpoint_slice.each("ports"):
            number = listening.number("port")
            if listening.text("name") != port.text("name") or number is None:
                continue
            for endpoint in endpoint_slice.each("endpoints"):
                pod = endpoint.text("targetRef", "name")
                if (
                    services.is_ready(endpoint)
                    and endpoint.text("targetRef", "kind") == "Pod"
                    and pod
                ):
                    namespace = endpoint.text("targetRef", "namespace") or service.namespace
                    return Target("", number, namespace, pod, "", is_backend=True)
    return None
