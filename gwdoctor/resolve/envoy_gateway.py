"""Envoy Gateway: which EnvoyProxy, Service and policies belong to a Gateway.

Rules: Envoy Gateway 1.9, internal/gatewayapi and internal/infrastructure/kubernetes/proxy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import gateway_api, status
from gwdoctor.resolve.references import Reference

GROUP = "gateway.envoyproxy.io"
POLICIES = (
    kinds.CLIENT_TRAFFIC_POLICY,
    kinds.BACKEND_TRAFFIC_POLICY,
    kinds.SECURITY_POLICY,
    kinds.ENVOY_EXTENSION_POLICY,
)
_OWNER = "gateway.envoyproxy.io/owning-gateway"


def answers_for(gateway: Resource, cluster: Cluster) -> bool:
    """Whether Envoy Gateway is the controller of this Gateway."""
    return gateway_api.is_envoy_gateway(gateway_api.controller(gateway, cluster))


def proxy(gateway: Resource, cluster: Cluster) -> Resource | None:
    """The EnvoyProxy of a Gateway: its own parametersRef beats the one of its class.

    A class that leaves the namespace out means `default`.
    """
    own = gateway.at("spec", "infrastructure", "parametersRef")
    if own.has():
        return _referenced(own, gateway.namespace, cluster)
    gateway_class = gateway_api.gateway_class(gateway, cluster)
    if gateway_class is None:
        return None
    reference = gateway_class.at("spec", "parametersRef")
    return _referenced(reference, reference.text("namespace") or "default", cluster)


def _referenced(reference: Field, namespace: str, cluster: Cluster) -> Resource | None:
    if (reference.text("group"), reference.text("kind")) != (GROUP, "EnvoyProxy"):
        return None
    return cluster.get(kinds.ENVOY_PROXY, namespace, reference.text("name"))


def merges_gateways(envoy_proxy: Resource | None) -> bool:
    """Whether all Gateways of the class share one data plane and one Service."""
    return envoy_proxy is not None and bool(envoy_proxy.flag("spec", "mergeGateways"))


def service(gateway: Resource, envoy_proxy: Resource | None, cluster: Cluster) -> Resource | None:
    """The Service that Envoy Gateway made for a Gateway, if it is seen.

    Found by labels: its name holds a hash and depends on the deploy mode. What it will look
    like follows from Gateway and EnvoyProxy, so not seeing it is no obstacle.
    """
    if merges_gateways(envoy_proxy):
        labels = {f"{_OWNER}class": gateway.text("spec", "gatewayClassName")}
    else:
        labels = {f"{_OWNER}-name": gateway.name, f"{_OWNER}-namespace": gateway.namespace}
    try:
        return next(iter(cluster.select(kinds.SERVICE, labels)), None)
    except OutOfView:
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """What a policy is for: a whole object, or with `section` a listener, rule or port of it."""

    kind: Kind
    namespace: str
    name: str
    section: str = ""


def target_refs(policy: Resource) -> Iterator[tuple[Field, Target]]:
    """The objects that a policy names; they are always in its own namespace."""
    spots = [*policy.each("spec", "targetRefs")]
    if policy.has("spec", "targetRef"):
        spots.append(policy.at("spec", "targetRef"))
    for spot in spots:
        kind = Kind(spot.text("kind"), spot.text("group"))
        yield spot, Target(kind, policy.namespace, spot.text("name"), spot.text("sectionName"))


def older_first(policies: Sequence[Resource]) -> list[Resource]:
    """Policies by precedence: creationTimestamp, then namespace and name.

    One without a timestamp (not applied yet) comes last among those that have one.
    """
    return sorted(policies, key=lambda p: (p.created or "~", p.namespace, p.name))


def policies_by_target(kind: Kind, cluster: Cluster) -> Mapping[Target, Sequence[Resource]]:
    """The policies of a kind by the target they name, oldest (the winner) first.

    Policies that select their targets by labels (`targetSelectors`) are not among them.
    """
    return cluster.derive(_by_target, kind)


def _by_target(cluster: Cluster, kind: Kind) -> Mapping[Target, Sequence[Resource]]:
    found: dict[Target, list[Resource]] = defaultdict(list)
    for policy in older_first(cluster[kind]):
        for target in {target for _, target in target_refs(policy)}:
            found[target].append(policy)
    return found


def client_policy(
    listener: gateway_api.Listener, gateway: Resource, cluster: Cluster
) -> Resource | None:
    """The ClientTrafficPolicy in force on a listener: of the listener, else of its owner, else of
    the Gateway. Raises OutOfView where policies may be hidden.
    """
    cluster.within(kinds.CLIENT_TRAFFIC_POLICY, gateway.namespace)
    by_target = policies_by_target(kinds.CLIENT_TRAFFIC_POLICY, cluster)
    owner = listener.owner
    for resource, section in ((owner, listener.name), (owner, ""), (gateway, "")):
        ref = resource.ref
        named = by_target.get(Target(ref.kind, ref.namespace, ref.name, section))
        if named:
            return named[0]
        if section:
            continue
        for policy in older_first(cluster.within(kinds.CLIENT_TRAFFIC_POLICY, ref.namespace)):
            if any(
                selector.text("kind") == ref.kind.name
                and gateway_api.selects(selector, resource.own_labels)
                for selector in policy.each("spec", "targetSelectors")
            ):
                return policy
    return None


def reads_proxy_protocol(policy: Resource | None) -> bool:
    """Whether a ClientTrafficPolicy lets Envoy read PROXY headers."""
    if policy is None:
        return False
    return policy.has("spec", "proxyProtocol") or bool(policy.flag("spec", "enableProxyProtocol"))


def demands_proxy_protocol(policy: Resource) -> bool:
    """Whether Envoy drops connections without a PROXY header; `proxyProtocol` wins over the old key."""
    if policy.has("spec", "proxyProtocol"):
        return not policy.flag("spec", "proxyProtocol", "optional")
    return reads_proxy_protocol(policy)


def is_accepted(policy: Resource) -> bool:
    """Whether the controller took the policy, as it is now, for all it is attached to."""
    said = [
        status.condition(ancestor, "Accepted") for ancestor in policy.each("status", "ancestors")
    ]
    return bool(said) and all(
        c is not None and c.text("status") == "True" and status.is_current(policy, c) for c in said
    )


#: Where policies name other objects: the path, and the kind where the reference leaves it out.
_REFERENCES: Mapping[Kind, tuple[tuple[tuple[str, ...], str], ...]] = {
    kinds.SECURITY_POLICY: (
        (("oidc", "clientSecret"), "Secret"),
        (("oidc", "provider", "backendRefs", "*"), "Service"),
        (("basicAuth", "users"), "Secret"),
        (("apiKeyAuth", "credentialRefs", "*"), "Secret"),
        (("jwt", "providers", "*", "localJWKS", "valueRef"), "ConfigMap"),
        (("extAuth", "grpc", "backendRef"), "Service"),
        (("extAuth", "grpc", "backendRefs", "*"), "Service"),
        (("extAuth", "http", "backendRef"), "Service"),
        (("extAuth", "http", "backendRefs", "*"), "Service"),
    ),
    kinds.ENVOY_EXTENSION_POLICY: (
        (("extProc", "*", "backendRefs", "*"), "Service"),
        (("lua", "*", "valueRef"), "ConfigMap"),
    ),
    kinds.BACKEND_TRAFFIC_POLICY: (
        (("responseOverride", "*", "response", "body", "valueRef"), "ConfigMap"),
    ),
    kinds.CLIENT_TRAFFIC_POLICY: (
        (("tls", "clientValidation", "caCertificateRefs", "*"), "Secret"),
    ),
}


def references(policy: Resource) -> Iterator[Reference]:
    """The Services, Secrets and ConfigMaps that a policy needs."""
    for path, kind in _REFERENCES.get(policy.ref.kind, ()):
        for spot in _walk(policy.at("spec"), path):
            if spot.text("name"):
                yield Reference(
                    policy,
                    spot,
                    Kind(spot.text("kind") or kind, spot.text("group")),
                    spot.text("namespace") or policy.namespace,
                    spot.text("name"),
                )


def _walk(field: Field, path: Sequence[str]) -> Iterator[Field]:
    if not path:
        if field.has():
            yield field
    elif path[0] == "*":
        for item in field.each():
            yield from _walk(item, path[1:])
    else:
        yield from _walk(field.at(path[0]), path[1:])


def target_field(policy: Resource, target: Target) -> Field:
    """Where a policy names a target."""
    return next((spot for spot, named in target_refs(policy) if named == target), policy)


def proxies_in_use(cluster: Cluster) -> frozenset[tuple[str, str]]:
    """(namespace, name) of each EnvoyProxy that some class or Gateway refers to.

    Raises OutOfView where classes or Gateways may be hidden.
    """
    return cluster.derive(_proxies_in_use)


def _proxies_in_use(cluster: Cluster) -> frozenset[tuple[str, str]]:
    classes = (
        (found.text("spec", "parametersRef", "namespace") or "default", found)
        for found in cluster.every(kinds.GATEWAY_CLASS)
    )
    used = {(namespace, c.text("spec", "parametersRef", "name")) for namespace, c in classes}
    path = ("spec", "infrastructure", "parametersRef", "name")
    used |= {(g.namespace, g.text(*path)) for g in cluster.every(kinds.GATEWAY)}
    return frozenset(used)
