"""What a scan of some namespaces needs of others: whatever its objects name there.

Nothing here yields anything when all namespaces are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Kind, Resource
from gwdoctor.resolve import gateway_api, istio_mesh, kong_plugins
from gwdoctor.resolve.references import REFERRERS, references
from gwdoctor.source.batch import Want


def _seen(cluster: Cluster, *wanted: Kind) -> Iterator[Resource]:
    for kind in wanted:
        if cluster.asked is None or kind in cluster.asked:
            try:
                yield from cluster[kind]
            except OutOfView:
                continue


def _is_read(namespace: str, cluster: Cluster) -> bool:
    return cluster.namespaces is None or namespace in cluster.namespaces


def classes(cluster: Cluster) -> Iterator[Want]:
    """Classes, issuers and parameters by name, where the lists of the cluster may not be read."""
    if cluster.namespaces is None:
        return
    for gateway in _seen(cluster, kinds.GATEWAY):
        yield from _one(kinds.GATEWAY_CLASS, "", gateway.text("spec", "gatewayClassName"))
    for resource in _seen(cluster, kinds.INGRESS):
        name = resource.text("spec", "ingressClassName") or resource.annotation(
            "kubernetes.io/ingress.class"
        )
        yield from _one(kinds.INGRESS_CLASS, "", name)
    for certificate in _seen(cluster, kinds.CERTIFICATE):
        if certificate.text("spec", "issuerRef", "kind") == "ClusterIssuer":
            name = certificate.text("spec", "issuerRef", "name")
            yield from _one(kinds.CLUSTER_ISSUER, "", name)
    for gateway_class in _seen(cluster, kinds.GATEWAY_CLASS):
        parameters = gateway_class.at("spec", "parametersRef")
        if parameters.text("kind") == "EnvoyProxy":
            namespace = parameters.text("namespace") or "default"
            yield from _one(kinds.ENVOY_PROXY, namespace, parameters.text("name"))


def _one(kind: Kind, namespace: str, name: str) -> Iterator[Want]:
    if name:
        yield Want(kind, namespace, name)


def gateway_api_references(cluster: Cluster) -> Iterator[Want]:
    """Gateways of routes, backends and Secrets of both, and the grants that they need there."""
    if cluster.namespaces is None:
        return
    for route in _seen(cluster, *gateway_api.ROUTES):
        for parent in route.each("spec", "parentRefs"):
            kind = gateway_api.parent_kind(parent)
            if kind is not None:
                namespace = parent.text("namespace") or route.namespace
                yield from _one(kind, namespace, parent.text("name"))
    for owner in _seen(cluster, kinds.LISTENER_SET):
        parent = owner.at("spec", "parentRef")
        namespace = parent.text("namespace") or owner.namespace
        yield from _one(kinds.GATEWAY, namespace, parent.text("name"))
    for owner in _seen(cluster, *REFERRERS):
        for reference in references(owner):
            if reference.crosses and not _is_read(reference.namespace, cluster):
                yield Want(kinds.REFERENCE_GRANT, reference.namespace)
                if reference.kind in kinds.READINGS:
                    yield from _one(reference.kind, reference.namespace, reference.name)


def istio_references(cluster: Cluster) -> Iterator[Want]:
    """Gateways and Services that Istio's objects name, and the policies of the whole mesh."""
    if cluster.namespaces is None:
        return
    for service in _seen(cluster, kinds.VIRTUAL_SERVICE):
        for text in service.texts("spec", "gateways"):
            namespace, slash, name = text.partition("/")
            if slash:
                yield from _one(kinds.ISTIO_GATEWAY, namespace, name)
    has_mesh = False
    for owner in _seen(cluster, *_MESH):
        has_mesh = True
        for host in _hosts(owner):
            key = istio_mesh.service_key(host, owner.namespace, cluster) if _may(cluster) else None
            if key is not None and not _is_read(key[0], cluster):
                yield from _one(kinds.SERVICE, *key)
    if has_mesh or any(istio_mesh.has_sidecar(pod) for pod in _seen(cluster, kinds.POD)):
        root = istio_mesh.mesh(cluster).root_namespace if _may(cluster) else "istio-system"
        for kind in _OF_THE_MESH:
            yield Want(kind, root)


_MESH = (kinds.VIRTUAL_SERVICE, kinds.DESTINATION_RULE, kinds.ISTIO_GATEWAY)
_OF_THE_MESH = (
    kinds.PEER_AUTHENTICATION,
    kinds.SIDECAR,
    kinds.ENVOY_FILTER,
    kinds.AUTHORIZATION_POLICY,
    kinds.REQUEST_AUTHENTICATION,
    kinds.TRAFFIC_EXTENSION,
)


def _may(cluster: Cluster) -> bool:
    """Whether the settings of the mesh may be asked for."""
    return cluster.asked is None or kinds.CONFIG_MAP in cluster.asked


def _hosts(owner: Resource) -> Iterator[str]:
    """The hosts that requests are sent to."""
    if owner.ref.kind == kinds.DESTINATION_RULE:
        yield owner.text("spec", "host")
    for protocol in ("http", "tcp", "tls"):
        for rule in owner.each("spec", protocol):
            for route in rule.each("route"):
                yield route.text("destination", "host")


def gateway_services(cluster: Cluster) -> Iterator[Want]:
    """The Services in front of gateway Pods of other namespaces."""
    if cluster.namespaces is None:
        return
    for pod in _seen(cluster, kinds.POD):
        if istio_mesh.is_gateway(pod) and not _is_read(pod.namespace, cluster):
            yield Want(kinds.SERVICE, pod.namespace)


def kong_references(cluster: Cluster) -> Iterator[Want]:
    """Plugins that an annotation names in another namespace, and the plugins of the cluster."""
    if cluster.namespaces is None:
        return
    for holder in _seen(cluster, *kong_plugins.HOLDERS):
        for reference in kong_plugins.references(holder):
            if reference.is_remote:
                yield from _one(kinds.KONG_PLUGIN, reference.namespace, reference.name)
                yield Want(kinds.REFERENCE_GRANT, reference.namespace)
            else:
                yield from _one(kinds.KONG_CLUSTER_PLUGIN, "", reference.name)


SYSTEMS: Iterable[Callable[[Cluster], Iterator[Want]]] = (
    classes,
    gateway_api_references,
    istio_references,
    gateway_services,
    kong_references,
)
