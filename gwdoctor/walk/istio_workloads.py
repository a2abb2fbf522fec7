"""The Pods of an Istio gateway: where they are reached, and what is configured on them."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Kind, Resource
from gwdoctor.resolve import istio_gateways, istio_mesh
from gwdoctor.resolve.gateway_api import Listener
from gwdoctor.resolve.istio_gateways import Workload
from gwdoctor.walk.hops import Hop
from gwdoctor.walk.planes import of_balancer


def of_listener(listener: Listener, cluster: Cluster) -> Workload | None:
    """The Pods that serve a listener of Gateway API; None where that is not seen."""
    try:
        found = istio_gateways.workloads(cluster)
    except OutOfView:
        return None
    return next((one for one in found if any(s.field == listener.field for s in one.servers)), None)


def addresses(workload: Workload) -> tuple[str, ...]:
    """Where the load balancers of its Services are reached."""
    told = [address for service in workload.services for address in of_balancer(service)]
    return tuple(dict.fromkeys(told))


def policies(workload: Workload, cluster: Cluster) -> Iterator[Hop]:
    """EnvoyFilters and AuthorizationPolicies on the gateway: named, not evaluated."""
    for kind, what in (
        (kinds.ENVOY_FILTER, "patches the gateway's configuration"),
        (kinds.AUTHORIZATION_POLICY, "decides who may pass the gateway"),
    ):
        for owner in _on(workload, kind, cluster):
            action = owner.text("spec", "action")
            hop = Hop("policy", f"{what}{f': {action}' if action else ''}", owner)
            hop.unverified = "what it does to this request is not evaluated"
            yield hop


def _on(workload: Workload, kind: Kind, cluster: Cluster) -> Iterator[Resource]:
    if not cluster.may_hold(kind) or not workload.labels:
        return
    root = istio_mesh.mesh(cluster).root_namespace
    try:
        owners = cluster[kind]
    except OutOfView:
        return
    for owner in owners:
        if workload.namespace and owner.namespace not in (workload.namespace, root):
            continue
        targets = [*owner.each("spec", "targetRefs"), owner.at("spec", "targetRef")]
        targets = [target for target in targets if target.has()]
        if targets:
            name = workload.labels.get(istio_gateways.GATEWAY_NAME)
            if any(t.text("kind") == "Gateway" and t.text("name") == name for t in targets):
                yield owner
            continue
        labels = owner.labels("spec", "workloadSelector", "labels") or owner.labels(
            "spec", "selector", "matchLabels"
        )
        sidecars_only = kind == kinds.ENVOY_FILTER and all(
            patch.text("match", "context").startswith("SIDECAR")
            for patch in owner.each("spec", "configPatches")
        )
        if labels.items() <= workload.labels.items() and not sidecars_only:
            yield owner
