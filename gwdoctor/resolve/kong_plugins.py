"""Kong's plugins, consumers and CA certificates: who names them, and which ones KIC takes.

Rules: KIC main 1fa68f864 (release 3.5), internal/store and internal/dataplane/kongstate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import certificates, ingress, kong_annotations

PLUGINS = "konghq.com/plugins"
#: What KIC reads the annotation on.
HOLDERS = (kinds.SERVICE, *kong_annotations.ROUTES, kinds.KONG_CONSUMER)
CA_LABEL = "konghq.com/ca-cert"
CONFIG_MAP_LABEL = "konghq.com/configmap"
CREDENTIAL_LABEL = "konghq.com/credential"
#: Service annotations that name CA certificates, and the kind that each means.
CA_ANNOTATIONS = {
    "konghq.com/ca-certificates-secrets": kinds.SECRET,
    "konghq.com/ca-certificates-configmaps": kinds.CONFIG_MAP,
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A plugin as an annotation names it: of the holder's namespace, or `ns:name`."""

    holder: Resource
    namespace: str
    name: str

    @property
    def field(self) -> Field:
        """The annotation."""
        return self.holder.at("metadata", "annotations", PLUGINS)

    @property
    def is_remote(self) -> bool:
        """Whether it names a namespace other than its own."""
        return self.namespace != self.holder.namespace

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}" if self.is_remote else self.name


def references(holder: Resource) -> Iterator[Reference]:
    """The plugins that an object names."""
    for item in names(holder.annotation(PLUGINS)):
        namespace, colon, name = item.partition(":")
        if colon:
            yield Reference(holder, namespace.strip() or holder.namespace, name.strip())
        else:
            yield Reference(holder, holder.namespace, item)


def names(csv: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in csv.split(",") if item.strip())


def plugin_of(reference: Reference, cluster: Cluster) -> Resource | None:
    """The plugin that is meant: of the namespace, else (without `ns:`) the cluster-wide one."""
    found = cluster.get(kinds.KONG_PLUGIN, reference.namespace, reference.name)
    if found is not None or reference.is_remote:
        return found
    return cluster.get(kinds.KONG_CLUSTER_PLUGIN, "", reference.name)


def users(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Field]]:
    """The annotations that name a plugin, by its namespace and name."""
    return cluster.derive(_users)


def _users(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Field]]:
    found: dict[tuple[str, str], list[Field]] = defaultdict(list)
    for kind in HOLDERS:
        try:
            holders = cluster[kind]
        except OutOfView:
            continue
        for holder in holders:
            for reference in references(holder):
                found[reference.namespace, reference.name].append(reference.field)
                found["", reference.name].append(reference.field)
    return found


def class_of(resource: Resource, cluster: Cluster) -> str:
    """The class under which Kong takes a resource of its own kinds; empty where it does not.

    They carry the annotation `kubernetes.io/ingress.class`, or belong to a default class.
    """
    named = ingress.class_annotation(resource).text()
    if named:
        controller = ingress.controller_of(named, cluster)
        return named if controller in (ingress.KONG, "") else ""
    default = ingress.default_class(cluster)
    if default is None or default.text("spec", "controller") != ingress.KONG:
        return ""
    return default.name


def kong_class(cluster: Cluster) -> str:
    """The class to write on new objects: the only one of Kong's, or `kong` where there is none."""
    found = [
        c.name for c in cluster[kinds.INGRESS_CLASS] if c.text("spec", "controller") == ingress.KONG
    ]
    return found[0] if len(found) == 1 else "" if found else "kong"


def ca_users(cluster: Cluster) -> Mapping[tuple[Kind, str, str], Sequence[Field]]:
    """The Service annotations that name a CA certificate, by its kind, namespace and name."""
    return cluster.derive(_ca_users)


def _ca_users(cluster: Cluster) -> Mapping[tuple[Kind, str, str], Sequence[Field]]:
    found: dict[tuple[Kind, str, str], list[Field]] = defaultdict(list)
    try:
        services = cluster[kinds.SERVICE]
    except OutOfView:  # a CA certificate that Kong refuses is one, whoever uses it
        services = ()
    for service in services:
        for key, kind in CA_ANNOTATIONS.items():
            field = service.at("metadata", "annotations", key)
            for name in names(field.text()):
                found[kind, service.namespace, name].append(field)
    return found


def is_ca(resource: Resource) -> bool:
    """Whether KIC loads a Secret or ConfigMap as a CA certificate: by its labels alone."""
    labelled = resource.label(CA_LABEL) == "true"
    if resource.ref.kind == kinds.CONFIG_MAP:
        return labelled and resource.label(CONFIG_MAP_LABEL) == "true"
    return labelled


def ca_id(resource: Resource) -> Field:
    """The `id` that Kong knows a CA certificate by."""
    if resource.ref.kind == kinds.CONFIG_MAP:
        return resource.at("data", "id")
    return resource.at("id")


def ca_problems(holder: Resource, cluster: Cluster) -> Iterator[tuple[Field, str]]:
    """What Kong finds wrong with a Secret or ConfigMap that holds a CA certificate, and where."""
    if not ca_id(holder).text():
        yield ca_id(holder), "it has no id"
    if holder.ref.kind == kinds.CONFIG_MAP:
        pem = holder.text("data", "cert") or holder.text("data", "ca.crt")
        count = pem.count("-----BEGIN CERTIFICATE-----")
        if count != 1:
            yield holder.at("data"), f"it holds {count} certificates under cert or ca.crt, not one"
        return
    key = next((key for key in ("cert", "ca.crt") if holder.has("pem", key)), "")
    found = list(holder.each("pem", key, "certificates")) if key else []
    field = holder.at("data", key or "cert")
    if len(found) != 1:
        problem = holder.text("pem", key, "problem") if key else ""
        yield field, problem or f"it holds {len(found)} certificates under cert or ca.crt, not one"
        return
    if not found[0].flag("isCA"):
        yield field, f"{found[0].text('subject')} is not a CA"
    end = certificates.time_of(found[0].text("notAfter"))
    if end is not None and end < cluster.now:
        yield field, f"it expired on {certificates.date(found[0].text('notAfter'))}"
