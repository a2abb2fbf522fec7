"""What a scan of some namespaces needs of others: whatever its objects name there.

Asked only where some namespaces are read, and not all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import envoy_gateway, gateway_api, istio_mesh, kong_plugins
from gwdoctor.resolve.asked import seen
from gwdoctor.resolve.references import REFERRERS, references
from gwdoctor.source.batch import Want


def _is_read(namespace: str, cluster: Cluster) -> bool:
    return namespace in (cluster.namespaces or ())


def classes(cluster: Cluster) -> Iterator[Want]:
    """Classes, issuers and parameters by name, where the lists of the cluster may not be read."""
    for gateway in seen(cluster, kinds.GATEWAY):
        yield from _one(kinds.GATEWAY_CLASS, "", gateway.text("spec", "gatewayClassName"))
    for resource in seen(cluster, kinds.INGRESS):
        name = resource.text("spec", "ingressClassName") or resource.annotation(
            "kubernetes.io/ingress.class"
        )
        yield from _one(kinds.INGRESS_CLASS, "", name)
    for certificate in seen(cluster, kinds.CERTIFICATE):
        if certificate.text("spec", "issuerRef", "kind") == "ClusterIssuer":
            name = certificate.text("spec", "issuerRef", "name")
            yield from _one(kinds.CLUSTER_ISSUER, "", name)
    for gateway_class in seen(cluster, kinds.GATEWAY_CLASS):
        parameters = gateway_class.at("spec", "parametersRef")
        if parameters.text("kind") == "EnvoyProxy":
            namespace = parameters.text("namespace") or "default"
            yield from _one(kinds.ENVOY_PROXY, namespace, parameters.text("name"))


def _one(kind: Kind, namespace: str, name: str) -> Iterator[Want]:
    if name:
        yield Want(kind, namespace, name)


def gateways_of_routes(cluster: Cluster) -> Iterator[Want]:
    """The Gateways that routes, ListenerSets and ACME solvers name, and the policies on them."""
    for kind, namespace, name in _parents(cluster):
        yield from _one(kind, namespace, name)
        if not _is_read(namespace, cluster):
            for policy in _ON_GATEWAYS:
                yield Want(policy, namespace)
    for gateway in seen(cluster, kinds.GATEWAY):
        yield Want(kinds.SERVICE, labels=_ENVOY_GATEWAYS_SERVICE)
        namespace, _, name = gateway.annotation(_PUBLISHED).partition("/")
        yield from _one(kinds.SERVICE, namespace, name)


_ON_GATEWAYS = (*envoy_gateway.POLICIES, kinds.ENVOY_PROXY, kinds.DESTINATION_RULE)
_ENVOY_GATEWAYS_SERVICE = "gateway.envoyproxy.io/owning-gateway-name"
_PUBLISHED = "konghq.com/publish-service"


def _parents(cluster: Cluster) -> Iterator[tuple[Kind, str, str]]:
    for route in seen(cluster, *gateway_api.ROUTES):
        yield from _of_parent_refs(route.each("spec", "parentRefs"), route)
    for listener_set in seen(cluster, kinds.LISTENER_SET):
        yield from _of_parent_refs([listener_set.at("spec", "parentRef")], listener_set)
    for issuer in seen(cluster, kinds.ISSUER):
        for solver in issuer.each("spec", "acme", "solvers"):
            references = solver.each("http01", "gatewayHTTPRoute", "parentRefs")
            yield from _of_parent_refs(references, issuer)


def _of_parent_refs(
    references: Iterable[Field], owner: Resource
) -> Iterator[tuple[Kind, str, str]]:
    for reference in references:
        kind = gateway_api.parent_kind(reference)
        if kind is not None and reference.text("name"):
            yield kind, reference.text("namespace") or owner.namespace, reference.text("name")


def gateway_api_references(cluster: Cluster) -> Iterator[Want]:
    """Backends of routes, Secrets of Gateways, and the grants that both need there."""
    for owner in seen(cluster, *REFERRERS):
        for reference in references(owner):
            if reference.crosses and not _is_read(reference.namespace, cluster):
                yield Want(kinds.REFERENCE_GRANT, reference.namespace)
                if reference.kind in kinds.READINGS:
                    yield from _one(reference.kind, reference.namespace, reference.name)
                for kind in _BESIDE.get(reference.kind, ()):
                    yield Want(kind, reference.namespace)


#: What a check that has found one object of a kind goes on to look for in its namespace.
_BESIDE: Mapping[Kind, tuple[Kind, ...]] = {
    kinds.SERVICE: (
        kinds.ENDPOINT_SLICE,
        kinds.POD,
        kinds.DESTINATION_RULE,
        kinds.BACKEND_TLS_POLICY,
    ),
    kinds.SECRET: (kinds.CERTIFICATE,),
}


def istio_references(cluster: Cluster) -> Iterator[Want]:
    """Gateways and Services that Istio's objects name, and the policies of the whole mesh."""
    for virtual_service in seen(cluster, kinds.VIRTUAL_SERVICE):
        for text in virtual_service.texts("spec", "gateways"):
            namespace, slash, name = text.partition("/")
            if slash and not _is_read(namespace, cluster):
                yield from _one(kinds.ISTIO_GATEWAY, namespace, name)
                yield Want(kinds.DESTINATION_RULE, namespace)
    has_mesh = False
    for owner in seen(cluster, *_MESH):
        has_mesh = True
        for host in _hosts(owner):
            key = istio_mesh.service_key(host, owner.namespace, cluster) if _may(cluster) else None
            if key is not None and not _is_read(key[0], cluster):
                yield from _one(kinds.SERVICE, *key)
                for kind in _BESIDE[kinds.SERVICE]:
                    yield Want(kind, key[0])
    if has_mesh or any(istio_mesh.has_sidecar(pod) for pod in seen(cluster, kinds.POD)):
        root = istio_mesh.mesh(cluster).root_namespace if _may(cluster) else "istio-system"
        for kind in _OF_THE_MESH:
            yield Want(kind, root)


_MESH = (kinds.VIRTUAL_SERVICE, kinds.DESTINATION_RULE, kinds.ISTIO_GATEWAY)
_OF_THE_MESH = (
    kinds.DESTINATION_RULE,
    kinds.PEER_AUTHENTICATION,
    kinds.SIDECAR,
    kinds.ENVOY_FILTER,
    kinds.AUTHORIZATION_POLICY,
    kinds.REQUEST_AUTHENTICATION,
    kinds.TRAFFIC_EXTENSION,
)


def _may(cluster: Cluster) -> bool:
    """Whether the settings of the mesh may be asked for."""
    return cluster.is_asked(kinds.CONFIG_MAP)


def _hosts(owner: Resource) -> Iterator[str]:
    """The hosts that requests are sent to."""
    if owner.ref.kind == kinds.DESTINATION_RULE:
        yield owner.text("spec", "host")
    for protocol in ("http", "tcp", "tls"):
        for rule in owner.each("spec", protocol):
            for route in rule.each("route"):
                yield route.text("destination", "host")


def gateway_services(cluster: Cluster) -> Iterator[Want]:
    """The Services in front of gateway Pods of other namespaces, and who writes their Secrets."""
    for pod in seen(cluster, kinds.POD):
        if istio_mesh.is_gateway(pod) and not _is_read(pod.namespace, cluster):
            yield Want(kinds.SERVICE, pod.namespace)
            yield Want(kinds.CERTIFICATE, pod.namespace)


def kong_references(cluster: Cluster) -> Iterator[Want]:
    """Plugins that an annotation names in another namespace, and the plugins of the cluster."""
    for holder in seen(cluster, *kong_plugins.HOLDERS):
        for reference in kong_plugins.references(holder):
            if reference.is_remote:
                yield from _one(kinds.KONG_PLUGIN, reference.namespace, reference.name)
                yield Want(kinds.REFERENCE_GRANT, reference.namespace)
            else:
                yield from _one(kinds.KONG_CLUSTER_PLUGIN, "", reference.name)


SYSTEMS: Iterable[Callable[[Cluster], Iterator[Want]]] = (
    classes,
    gateways_of_routes,
    gateway_api_references,
    istio_references,
    gateway_services,
    kong_references,
)
