"""Ingress controllers and Gateway API proxies that stand outside the mesh, and where they lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import gateway_api, ingress, istio_mesh, services

#: How the Pods of a controller are labelled, by IngressClass.spec.controller: as its Helm chart
#: and its plain manifests do. Any one of the label sets will do.
CONTROLLERS: Mapping[str, tuple[str, tuple[dict[str, str], ...]]] = {
    ingress.NGINX: (
        "ingress-nginx",
        ({"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"},),
    ),
    ingress.KONG: (
        "Kong",
        ({"app": "proxy-kong"}, {"app": "ingress-kong"}, {"app.kubernetes.io/name": "kong"}),
    ),
    "traefik.io/ingress-controller": ("Traefik", ({"app.kubernetes.io/name": "traefik"},)),
    "nginx.org/ingress-controller": (
        "NGINX Ingress Controller",
        ({"app.kubernetes.io/name": "nginx-ingress"},),
    ),
    "projectcontour.io/ingress-controller": ("Contour's Envoy", ({"app": "envoy"},)),
}
#: Load balancers that send to the Pods or nodes themselves: never in a mesh.
_EXTERNAL = {"ingress.k8s.aws/alb": "AWS Application Load Balancer"}
_OWNER = "gateway.envoyproxy.io/owning-gateway-"


@dataclass(frozen=True)
class Caller:
    """A proxy that calls backends. `pods` is empty for one outside the cluster."""

    name: str
    pods: tuple[Resource, ...] = ()

    @cached_property
    def membership(self) -> str:
        """Which of its Pods have a sidecar: many thousand routes ask for it."""
        return istio_mesh.membership(self.pods)

    @property
    def is_outside(self) -> bool:
        """Whether it certainly has no mesh certificate."""
        return not self.pods or self.membership == "none"


@dataclass(frozen=True, slots=True)
class Call:
    """A backend of an Ingress or HTTPRoute, and who calls it."""

    caller: Caller
    route: Resource
    field: Field
    service: Resource
    port: Field
    host: str = ""  #: that clients ask for; empty for any


def ingress_controller(owner: Resource, cluster: Cluster) -> str:
    """The controller that an Ingress is meant for; empty where that is not known."""
    name = ingress.class_field(owner).text() or ingress.class_annotation(owner).text()
    if name:
        return ingress.controller_of(name, cluster)
    default = ingress.default_class(cluster)
    return default.text("spec", "controller") if default is not None else ""


def calls(route: Resource, cluster: Cluster) -> Iterator[Call]:
    """The calls of an Ingress or Gateway API route whose caller is known. Reads POD and SERVICE."""
    if route.ref.kind == kinds.INGRESS:
        yield from _of_ingress(route, cluster)
    else:
        yield from _of_route(route, cluster)


def _of_ingress(route: Resource, cluster: Cluster) -> Iterator[Call]:
    controller = ingress_controller(route, cluster)
    caller = cluster.derive(_callers).get(controller)
    if caller is None:
        return
    for backend in ingress.backends(route):
        service = cluster.get(kinds.SERVICE, route.namespace, backend.service)
        port = services.port(service, backend.port) if service is not None else None
        if service is not None and port is not None:
            yield Call(caller, route, backend.field, service, port, backend.host)


def _callers(cluster: Cluster) -> Mapping[str, Caller]:
    """By controller; one without visible Pods is not known."""
    found = {controller: Caller(name) for controller, name in _EXTERNAL.items()}
    for controller, (name, label_sets) in CONTROLLERS.items():
        pods = _with_any(cluster, label_sets)
        if pods:
            found[controller] = Caller(name, tuple(pods))
    return found


def _with_any(cluster: Cluster, label_sets: Sequence[Mapping[str, str]]) -> Sequence[Resource]:
    """The Pods with the first of these label sets that any Pod has."""
    found = (cluster.select(kinds.POD, labels) for labels in label_sets)
    return next((pods for pods in found if pods), ())


def _of_route(route: Resource, cluster: Cluster) -> Iterator[Call]:
    callers = {}
    for reference in route.each("spec", "parentRefs"):
        if gateway_api.parent_kind(reference) == kinds.GATEWAY:
            namespace = reference.text("namespace") or route.namespace
            gateway = cluster.get(kinds.GATEWAY, namespace, reference.text("name"))
            caller = cluster.derive(_of_gateway, gateway) if gateway is not None else None
            if caller is not None:
                callers[caller] = caller
    for caller in callers:
        for backend in gateway_api.backend_refs(route):
            if backend.kind != kinds.SERVICE:
                continue
            service = cluster.get(kinds.SERVICE, backend.namespace, backend.name)
            port = services.port(service, backend.port) if service is not None else None
            if service is not None and port is not None:
                host = next(iter(route.texts("spec", "hostnames")), "")
                yield Call(caller, route, backend.field, service, port, host)


def _of_gateway(cluster: Cluster, gateway: Resource) -> Caller | None:
    controller = gateway_api.controller(gateway, cluster)
    if gateway_api.is_envoy_gateway(controller):
        owner = {f"{_OWNER}name": gateway.name, f"{_OWNER}namespace": gateway.namespace}
        pods = cluster.select(kinds.POD, owner)
        return Caller("Envoy Gateway", tuple(pods)) if pods else None
    if gateway_api.is_kong(controller):
        return cluster.derive(_callers).get(ingress.KONG)
    return None
