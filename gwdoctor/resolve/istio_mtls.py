"""Istio mTLS, the receiving side: what PeerAuthentication comes to for a Pod and a port.

Rules: istio/istio 1.32 pilot/pkg/model/authentication.go, pilot/pkg/security/authn.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Change, Field, Resource
from gwdoctor.resolve import istio_mesh, services

_MODES = ("STRICT", "PERMISSIVE", "DISABLE")


@dataclass(frozen=True, slots=True)
class Mode:
    """STRICT, PERMISSIVE or DISABLE, and the field that decides it (None: Istio's default)."""

    name: str
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """PeerAuthentications by what they reach, each list oldest first: the first one counts.

    `wide` are those without a selector, by namespace (in the root namespace: for the mesh).
    `narrow` are those with one, by namespace and the rarest label of the selector. A selector in
    the root namespace reaches no other namespace, and is left out.
    """

    wide: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    narrow: Mapping[tuple[str, str, str], Sequence[Resource]] = field(default_factory=dict)


def selector(policy: Resource) -> dict[str, str]:
    """The labels that a PeerAuthentication selects; empty for one of a namespace or the mesh."""
    return policy.labels("spec", "selector", "matchLabels")


def policies(cluster: Cluster) -> Policies:
    """All PeerAuthentications that are seen."""
    return cluster.derive(_policies)


def _policies(cluster: Cluster) -> Policies:
    root = istio_mesh.mesh(cluster).root_namespace
    wide: dict[str, list[Resource]] = defaultdict(list)
    narrow: dict[tuple[str, str, str], list[Resource]] = defaultdict(list)
    seen = istio_mesh.by_age(cluster, kinds.PEER_AUTHENTICATION)
    spread = Counter((p.namespace, *label) for p in seen for label in selector(p).items())
    for policy in seen:
        wanted = [(policy.namespace, *label) for label in selector(policy).items()]
        if not wanted:
            wide[policy.namespace].append(policy)
        elif policy.namespace != root:
            narrow[min(wanted, key=lambda label: (spread[label], label))].append(policy)
    return Policies(wide, narrow)


def narrow_policy(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> Resource | None:
    """The PeerAuthentication that counts of those whose selector matches these labels: the oldest."""
    index = policies(cluster).narrow
    oldest = (
        policy
        for label in labels.items()
        for policy in itertools.islice(
            (
                one
                for one in index.get((namespace, *label), ())
                if selector(one).items() <= labels.items()
            ),
            1,
        )
    )
    return min(oldest, key=istio_mesh.age, default=None)


def wide_mode(cluster: Cluster, namespace: str) -> Mode:
    """The mode that a namespace gives to Pods without a PeerAuthentication of their own.

    Raises OutOfView where that of the namespace may be hidden, or, where it decides nothing,
    that of the root namespace.
    """
    return cluster.derive(_wide_mode, namespace)


def _wide_mode(cluster: Cluster, namespace: str) -> Mode:
    for place in dict.fromkeys((namespace, istio_mesh.mesh(cluster).root_namespace)):
        cluster.within(kinds.PEER_AUTHENTICATION, place)
        for policy in policies(cluster).wide.get(place, ())[:1]:
            written = policy.at("spec", "mtls", "mode")
            if written.text() in _MODES:
                return Mode(written.text(), written)
    return Mode("PERMISSIVE")


def mode_in_scope(cluster: Cluster, place: str) -> Mode:
    """The mode of a namespace, or of the whole mesh for ""."""
    return wide_mode(cluster, place or istio_mesh.mesh(cluster).root_namespace)


def mode_of(
    cluster: Cluster, namespace: str, labels: Mapping[str, str], port: int | None = None
) -> Mode:
    """The mode at a port of a Pod with these labels; `port` is the container's, not the Service's.

    The oldest PeerAuthentication that selects the Pod counts alone, then the namespace's, then
    the mesh's; UNSET inherits. Only those that can decide need to be seen.
    """
    cluster.within(kinds.PEER_AUTHENTICATION, namespace)
    policy = narrow_policy(cluster, namespace, labels)
    if policy is not None:
        at_port = policy.at("spec", "portLevelMtls", str(port), "mode")
        for written in (at_port, policy.at("spec", "mtls", "mode")):
            if written.text() in _MODES:
                return Mode(written.text(), written)
    return wide_mode(cluster, namespace)


@dataclass(frozen=True, slots=True)
class Receiver:
    """What stands behind a Service port: its modes (several where Pods differ) and its sidecars."""

    modes: tuple[Mode, ...]
    membership: str  #: all, none, some, unknown: see istio_mesh.membership
    target: int | None  #: the container port; None where only the Pods could tell
    has_pods: bool

    def mode(self, name: str) -> Mode | None:
        """The mode of this name, if some Pod has it."""
        return next((mode for mode in self.modes if mode.name == name), None)


def target_port(cluster: Cluster, service: Resource, port: Field) -> int | None:
    """The container port behind a Service port: a named targetPort stands in the EndpointSlices."""
    if port.text("targetPort"):
        for endpoint_slice in services.slices(cluster).get((service.namespace, service.name), ()):
            for served in endpoint_slice.each("ports"):
                if served.text("name") == port.text("name"):
                    return served.number("port")
        return None
    target = port.number("targetPort")
    return port.number("port") if target is None else target


def receiver(cluster: Cluster, service: Resource, port: Field) -> Receiver | None:
    """Who receives at a port of a Service; None for one without a selector, or for UDP.

    Where no Pod runs, the Service's own selector stands for the labels they will carry.
    Reads POD, ENDPOINT_SLICE, PEER_AUTHENTICATION and CONFIG_MAP.
    """
    chosen = service.labels("spec", "selector")
    if not chosen or "UDP" in port.text("protocol") or services.external_name(service):
        return None
    selector, target = frozenset(chosen.items()), target_port(cluster, service, port)
    return cluster.derive(_receiver, service.namespace, selector, target)


def _receiver(
    cluster: Cluster, namespace: str, selector: frozenset[tuple[str, str]], target: int | None
) -> Receiver:
    chosen = dict(selector)
    pods = cluster.select(kinds.POD, chosen, namespace)
    modes: dict[Mode, None] = {}
    seen: set[frozenset[tuple[str, str]]] = set()
    for labels in [pod.own_labels for pod in pods] or [chosen]:
        distinct = frozenset(labels.items())
        if distinct not in seen:
            seen.add(distinct)
            modes[mode_of(cluster, namespace, labels, target)] = None
    return Receiver(tuple(modes), istio_mesh.membership(pods), target, bool(pods))


def selecting(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> Sequence[Resource]:
    """The Services of a namespace that select Pods with these labels."""
    cluster.within(kinds.SERVICE, namespace)
    index = cluster.derive(_services_by_label)
    return tuple(
        service
        for label in labels.items()
        for service in index.get((namespace, *label), ())
        if all(labels.get(k) == v for k, v in service.labels("spec", "selector").items())
    )


def _services_by_label(cluster: Cluster) -> Mapping[tuple[str, str, str], Sequence[Resource]]:
    index: dict[tuple[str, str, str], list[Resource]] = defaultdict(list)
    for service in cluster[kinds.SERVICE]:
        wanted = service.labels("spec", "selector")
        if wanted:
            index[(service.namespace, *min(wanted.items()))].append(service)
    return index


def reached(cluster: Cluster, policy: Resource) -> Sequence[Mapping[str, str]]:
    """The label sets of the Pods that a PeerAuthentication selects, or its selector for none."""
    return cluster.derive(_reached, policy.namespace, tuple(selector(policy).items()))


def _reached(
    cluster: Cluster, namespace: str, selected: tuple[tuple[str, str], ...]
) -> Sequence[Mapping[str, str]]:
    wanted = dict(selected)
    pods = cluster.select(kinds.POD, wanted, namespace)
    distinct = {frozenset(labels.items()): labels for labels in (pod.own_labels for pod in pods)}
    return list(distinct.values()) or [wanted]


def exceptions(cluster: Cluster, ports: Iterable[tuple[Resource, int, str]]) -> tuple[Change, ...]:
    """PeerAuthentications that set container ports (Service, port, mode) apart.

    The one that selects the Pods already gets another entry, else one is made. Empty where it
    cannot be done: a PeerAuthentication with a selector has no effect in the root namespace.
    """
    root = istio_mesh.mesh(cluster).root_namespace
    changes: dict[tuple[str, frozenset[tuple[str, str]]], Change] = {}
    for service, port, mode in ports:
        if service.namespace == root:
            return ()
        chosen = service.labels("spec", "selector")
        pods = cluster.select(kinds.POD, chosen, service.namespace)
        labels = pods[0].own_labels if pods else chosen
        present = narrow_policy(cluster, service.namespace, labels)
        wanted = selector(present) if present is not None else chosen
        key = service.namespace, frozenset(wanted.items())
        if key not in changes and present is not None:
            before = present.manifest()
            changes[key] = Change(present.ref, before, before)
        elif key not in changes:
            made = {
                "apiVersion": cluster.api_version(kinds.PEER_AUTHENTICATION),
                "kind": "PeerAuthentication",
                "metadata": {
                    "name": f"{service.name}-outside-the-mesh",
                    "namespace": service.namespace,
                },
                "spec": {"selector": {"matchLabels": dict(chosen)}},
            }
            changes[key] = Change.created(made)
        entry = "spec", "portLevelMtls", str(port)
        changes[key] = changes[key].changed(*entry, to={"mode": mode})
    return tuple(changes.values())
