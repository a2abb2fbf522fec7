"""Ingress: which controller serves it under which class, and where its rules lead.

Rules: KIC internal/annotations and internal/store (main 1fa68f864); ingress-nginx
internal/ingress/controller/store/store.go (dbb11b92); Kubernetes networking/v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Resource

KONG = "ingress-controllers.konghq.com/kong"
NGINX = "k8s.io/ingress-nginx"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
#: What an annotation can name although there is no IngressClass: the controllers' default names.
_USUAL_NAMES = {"kong": KONG, "nginx": NGINX}


def class_annotation(resource: Resource) -> Field:
    """The legacy annotation, which Kong's own kinds use too."""
    return resource.at("metadata", "annotations", CLASS_ANNOTATION)


def class_field(ingress: Resource) -> Field:
    """`spec.ingressClassName`."""
    return ingress.at("spec", "ingressClassName")


def is_default(ingress_class: Resource) -> bool:
    """Whether Ingresses without a class get this one."""
    return ingress_class.annotation(DEFAULT_ANNOTATION) == "true"


def default_class(cluster: Cluster) -> Resource | None:
    """The class of Ingresses that name none: of several the newest (Kubernetes 1.26 and later)."""
    return cluster.derive(_default_class)


def _default_class(cluster: Cluster) -> Resource | None:
    found = [c for c in cluster.every(kinds.INGRESS_CLASS) if is_default(c)]
    return max(found, key=lambda c: (c.created, c.name)) if found else None


def controller_of(class_name: str, cluster: Cluster) -> str:
    """The controller of a class by name; the usual one for `kong` and `nginx` without an object."""
    try:
        found = cluster.get(kinds.INGRESS_CLASS, "", class_name)
    except OutOfView:  # classes are cluster-wide: many users may not read them
        found = None
    return found.text("spec", "controller") if found else _USUAL_NAMES.get(class_name, "")


def served_class(ingress: Resource, cluster: Cluster, controller: str) -> str:
    """The class under which this controller serves an Ingress; empty where it does not.

    Where annotation and field are both set, Kong follows the annotation, ingress-nginx the field.
    """
    annotation, field = class_annotation(ingress).text(), class_field(ingress).text()
    name = annotation or field if controller == KONG else field or annotation
    if name:
        return name if controller_of(name, cluster) == controller else ""
    try:
        default = default_class(cluster)
    except OutOfView:
        return ""
    if default is None or default.text("spec", "controller") != controller:
        return ""
    return default.name


def is_foreign(ingress: Resource, cluster: Cluster, controller: str) -> bool:
    """Whether another controller, known by name or IngressClass, serves an Ingress."""
    annotation, field = class_annotation(ingress).text(), class_field(ingress).text()
    found = {controller_of(name, cluster) for name in (annotation, field) if name} - {""}
    return bool(found) and controller not in found


def of_controller(cluster: Cluster, controller: str) -> tuple[Resource, ...]:
    """All Ingresses that are seen and that this controller serves."""
    return tuple(i for i in cluster[kinds.INGRESS] if served_class(i, cluster, controller))


def is_acme_solver(ingress: Resource) -> bool:
    """Whether cert-manager made it, for the minutes of an HTTP-01 challenge."""
    return ingress.label("acme.cert-manager.io/http01-solver") == "true"


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend of an Ingress: of a path, or the default one (`path` is None)."""

    ingress: Resource
    field: Field
    path: Field | None
    host: str = ""

    @property
    def service(self) -> str:
        """The name of the Service; empty for a resource backend."""
        return self.field.text("service", "name")

    @property
    def port(self) -> int | str | None:
        """Name or number; a name wins, as the API allows only one of them."""
        reference = self.field.at("service", "port")
        return reference.text("name") or reference.number("number")


def backends(ingress: Resource) -> Iterator[Backend]:
    """The default backend and those of all paths."""
    default = ingress.at("spec", "defaultBackend")
    if default.has():
        yield Backend(ingress, default, None)
    for rule in ingress.each("spec", "rules"):
        for path in rule.each("http", "paths"):
            yield Backend(ingress, path.at("backend"), path, rule.text("host").lower())


def is_served(ingress: Resource) -> bool:
    """Whether some controller has written an address into its status: proof that one serves it."""
    return any(True for _ in ingress.each("status", "loadBalancer", "ingress"))
