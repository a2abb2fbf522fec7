"""The last part of a way: the Service and its port, what is spoken to it, mTLS, endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Confidence, Field, Kind, Ref, Resource
from gwdoctor.resolve import (
    backend_tls,
    grants,
    istio_mesh,
    istio_mtls,
    istio_rules,
    services,
)
from gwdoctor.walk.hops import Branch, Hop, missing, unseen

#: What they read.
KINDS = (
    kinds.SERVICE,
    kinds.ENDPOINT_SLICE,
    kinds.POD,
    kinds.POD_WHOLE,
    kinds.BACKEND,
    kinds.SERVICE_ENTRY,
    kinds.DESTINATION_RULE,
    kinds.PEER_AUTHENTICATION,
    kinds.CONFIG_MAP,
    kinds.REFERENCE_GRANT,
)
_Port = int | str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the backend.

    `speaks` tells what it speaks to a port. `in_mesh`: whether it has an Istio identity, None
    where that is not known; `namespace` is where Istio looks for its DestinationRules.
    """

    speaks: Callable[[Resource, Field], Hop]
    in_mesh: bool | None = None
    namespace: str = istio_rules.ANYWHERE


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route leads: an object and a port. `field` is the reference; `kind` a Service mostly."""

    field: Field
    namespace: str
    name: str
    port: _Port
    weight: int = 1
    kind: Kind = kinds.SERVICE
    referrer: Resource | None = None  #: of Gateway API: who needs a grant to leave its namespace
    subset: str = ""
    says: str = ""  #: instead of a Service: a host outside


def branches(targets: Sequence[Target], caller: Caller, cluster: Cluster) -> list[Branch]:
    """All backends of a route, with the share of requests that each gets."""
    total = sum(target.weight for target in targets)
    return [
        Branch(
            target.weight,
            100 * target.weight / total if total else 0.0,
            list(_hops(target, caller, cluster)),
        )
        for target in targets
        if target.weight or not total
    ]


def _hops(target: Target, caller: Caller, cluster: Cluster) -> Iterator[Hop]:
    if target.says:
        yield Hop("backend", target.says, target.field)
        return
    granted = _grant(target, cluster)
    if granted is not None:
        yield granted
    if target.kind != kinds.SERVICE:
        yield _other(target, cluster)
        return
    ref = Ref(kinds.SERVICE, target.namespace, target.name, "v1")
    try:
        service = cluster.get(kinds.SERVICE, target.namespace, target.name)
    except OutOfView as hidden:
        hop = unseen("backend", hidden, ref)
        hop.spots = (target.field,)
        yield hop
        return
    if service is None:
        yield missing(
            "backend",
            kinds.SERVICE,
            target.namespace,
            target.name,
            target.field,
            "the Service does not exist",
        )
        return
    yield from of_service(service, target, caller, cluster)


def of_service(
    service: Resource, target: Target, caller: Caller, cluster: Cluster
) -> Iterator[Hop]:
    """From a Service on: port, protocol, mTLS, endpoints."""
    port = _port_of(service, target.port)
    shown = f"port {target.port}" if target.port is not None else "its only port"
    outside = services.external_name(service)
    if outside:
        yield Hop(
            "backend",
            f"ExternalName: {outside}, outside the cluster",
            service,
            spots=(target.field,),
        )
        return
    if port is None:
        known = ", ".join(map(_shown, service.each("spec", "ports")))
        says = (
            f"it has no {shown}" if target.port is not None else "no port is named, it has several"
        )
        yield Hop(
            "backend",
            f"{says}; its ports: {known or 'none'}",
            service,
            State.BROKEN,
            spots=(target.field,),
        )
        yield endpoints(service, None, cluster)
        return
    lead = port.text("targetPort") or port.number("targetPort") or port.number("port")
    says = f"port {_shown(port)}, to {lead} of its Pods"
    if target.subset:
        says += f", subset {target.subset}"
    yield Hop("backend", says, port, spots=(target.field, service))
    spoken = caller.speaks(service, port)
    spoken.spots += (port,)
    yield spoken
    yield from _mtls(service, port, caller, cluster)
    yield endpoints(service, port, cluster)


def _shown(port: Field) -> str:
    name = port.text("name")
    return f"{port.number('port')}{f' ({name})' if name else ''}"


def _port_of(service: Resource, wanted: _Port) -> Field | None:
    if wanted is not None:
        return services.port(service, wanted)
    ports = service.each("spec", "ports")
    return ports[0] if len(ports) == 1 else None


def _grant(target: Target, cluster: Cluster) -> Hop | None:
    """The ReferenceGrant for a reference that leaves its namespace; None where none is needed."""
    referrer = target.referrer
    if referrer is None or referrer.namespace == target.namespace:
        return None
    ref = Ref(kinds.REFERENCE_GRANT, target.namespace, "")
    try:
        permitted = grants.permits(
            cluster,
            referrer.ref.kind,
            referrer.namespace,
            target.kind,
            target.namespace,
            target.name,
        )
    except OutOfView as hidden:
        return unseen("grant", hidden)
    if permitted:
        return Hop(
            "grant", f"a ReferenceGrant of namespace {target.namespace} permits it", target.field
        )
    says = (
        f"no ReferenceGrant in namespace {target.namespace} lets {referrer.ref.kind.name}s of "
        f"{referrer.namespace} name this {target.kind.name}"
    )
    return Hop("grant", says, target.field, State.BROKEN, ref)


def _other(target: Target, cluster: Cluster) -> Hop:
    """Envoy Gateway's Backend; of other kinds nothing is known."""
    ref = Ref(target.kind, target.namespace, target.name)
    if target.kind != kinds.BACKEND:
        return Hop(
            "backend",
            "of a kind that is not read",
            state=State.UNSEEN,
            ref=ref,
            spots=(target.field,),
        )
    try:
        found = cluster.get(kinds.BACKEND, target.namespace, target.name)
    except OutOfView as hidden:
        return unseen("backend", hidden, ref)
    if found is None:
        return missing(
            "backend",
            target.kind,
            target.namespace,
            target.name,
            target.field,
            "the Backend does not exist",
        )
    addresses = []
    for endpoint in found.each("spec", "endpoints"):
        for sort, key in (("fqdn", "hostname"), ("ip", "address")):
            if endpoint.has(sort):
                addresses.append(
                    f"{endpoint.text(sort, key)}:{endpoint.number(sort, 'port') or '?'}"
                )
    return Hop(
        "backend",
        ", ".join(addresses[:4]) or "no address that is known",
        found,
        spots=(target.field,),
    )


# --- endpoints ---------------------------------------------------------------------------


def endpoints(service: Resource, port: Field | None, cluster: Cluster) -> Hop:
    """How many Pods behind a port of a Service take requests."""
    selector = service.at("spec", "selector")
    ref = Ref(kinds.ENDPOINT_SLICE, service.namespace, service.name)
    try:
        cluster.within(kinds.ENDPOINT_SLICE, service.namespace)
    except OutOfView as hidden:
        hop = unseen("endpoints", hidden, ref)
        hop.spots = (selector,)
        return hop
    slices = services.slices(cluster).get((service.namespace, service.name), ())
    every: set[str] = set()
    ready: set[str] = set()
    named = port.text("name") if port is not None else None
    for one in slices:
        offers = named is None or any(p.text("name") == named for p in one.each("ports"))
        for endpoint in one.each("endpoints"):
            who = endpoint.text("targetRef", "name") or ", ".join(endpoint.texts("addresses"))
            every.add(who)
            if offers and services.still_serves(endpoint):
                ready.add(who)
    if not every:
        says = "none: " + (
            "its selector matches no Pod that runs" if selector.labels() else "it has no selector"
        )
        return Hop("endpoints", says, selector, State.BROKEN, spots=(service,))
    says = f"{len(ready)} of {len(every)} ready"
    if not ready and port is not None:
        says += f" for port {port.number('port')}"
    return Hop("endpoints", says, selector, State.OK if ready else State.BROKEN, spots=(service,))


# --- what is spoken ----------------------------------------------------------------------


def protocol(says: str, service: Resource, port: Field, cluster: Cluster, *, tls: bool) -> Hop:
    """What is spoken to a port, held against what its Pods seem to expect."""
    hint = backend_tls.evidence(service, port, cluster)
    if hint is not None and hint.tls != tls:
        expects = "TLS" if hint.tls else "clear text"
        return Hop(
            "protocol",
            f"{says}; the port looks like {expects}: {hint.why}",
            port,
            State.DEGRADED if hint.confidence >= Confidence.LIKELY else State.OK,
            unverified="what the port expects is read from names, numbers and probes",
        )
    return Hop("protocol", says, port)


def _mtls(service: Resource, port: Field, caller: Caller, cluster: Cluster) -> Iterator[Hop]:
    """What Istio makes of the call, where there is a mesh."""
    if not cluster.installed(kinds.PEER_AUTHENTICATION):
        return
    try:
        in_mesh = istio_mesh.membership_of(service, cluster) in ("all", "some")
        receiver = istio_mtls.receiver(cluster, service, port) if in_mesh else None
    except OutOfView as hidden:
        if hidden.gap.claimed:
            yield unseen("mtls", hidden)
        return
    if receiver is None:
        return
    policies = [mode.field for mode in receiver.modes if mode.field is not None]
    spots = (*(r for f in policies if (r := cluster.find(f.ref)) is not None), port)
    modes = "/".join(dict.fromkeys(mode.name for mode in receiver.modes))
    strict = receiver.mode("STRICT")
    sends, rules = _sends(service, port, caller, receiver, cluster)
    where = strict.field if strict is not None and strict.field is not None else port
    told = f"{modes}{' by ' + str(policies[0].ref) if policies else ' by default'}; {sends}"
    clear = sends.startswith(_CLEAR)
    state = State.OK
    if strict is not None and clear:
        told, state = f"{told}: refused", State.BROKEN
    tls_of = tuple(rule.at("spec", "trafficPolicy") for rule in rules)
    hop = Hop("mtls", told, where, state, spots=(*spots, *tls_of))
    if caller.in_mesh is None and strict is not None and not clear:
        hop.unverified = "whether the caller is in the mesh is not known"
    yield hop


_CLEAR = "the caller sends clear text"


def _sends(
    service: Resource,
    port: Field,
    caller: Caller,
    receiver: istio_mtls.Receiver,
    cluster: Cluster,
) -> tuple[str, tuple[Resource, ...]]:
    """What the caller sends to a Pod with a sidecar, and the DestinationRules that say so."""
    if caller.in_mesh is False:
        return f"{_CLEAR} or TLS of its own, being outside the mesh", ()
    host = istio_mesh.host_of(service, cluster)
    try:
        rules = tuple(istio_rules.selected(cluster, caller.namespace, host, service.namespace))
    except OutOfView:
        rules = ()
    for rule in rules:
        for tls in istio_rules.client_tls(rule, port.number("port")):
            if not tls.subset and tls.mode:
                if tls.mode == "DISABLE":
                    return f"{_CLEAR}, as {rule.ref} says", rules
                if tls.mode == "ISTIO_MUTUAL":
                    return f"the caller sends mTLS, as {rule.ref} says", rules
                return f"the caller sends TLS of its own ({tls.mode}), as {rule.ref} says", rules
    if not istio_mesh.mesh(cluster).auto_mtls:
        return f"{_CLEAR}: enableAutoMtls is off", rules
    if receiver.membership == "all" and receiver.mode("DISABLE") is None:
        return "a caller in the mesh sends mTLS" if caller.in_mesh is None else (
            "the caller sends mTLS"
        ), rules
    return f"{_CLEAR} to Pods that take no mTLS", rules
