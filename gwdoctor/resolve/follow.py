"""What the objects read so far point to and was not read: what a live scan fetches next.

One function per system. Each takes what is `seen` and may be generous: a want for something that
is known already, or of a kind that nobody asked for, is dropped in `wants`. A rule is added here
where a check reads a ConfigMap, a Secret that is not of type kubernetes.io/tls, or the containers
of a Pod, because nothing else brings them into a live scan.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import (
    cert_manager,
    envoy_gateway,
    follow_outside,
    gateway_api,
    ingress,
    kong,
    services,
)
from gwdoctor.resolve.asked import seen
from gwdoctor.resolve.kong_plugins import CA_ANNOTATIONS, CA_LABEL, CREDENTIAL_LABEL, names
from gwdoctor.source.batch import Want

System = Callable[[Cluster], Iterator[Want]]

#: Of so many Services that Ingresses and Kong's routes lead to, one Pod is read whole.
MOST_BACKENDS = 300
#: So many values of one label are asked for at once: 63 characters each, in a URL of 8 kB.
MOST_VALUES = 100
#: Of how many Pods of a Service one is looked for that still runs.
_MOST_PODS = 20


def wants(cluster: Cluster) -> Iterator[Want]:
    """Everything to fetch next, in no order, some of it twice."""
    outside = () if cluster.namespaces is None else follow_outside.SYSTEMS
    for system in (*SYSTEMS, *outside):
        for want in cluster.derive(_told_by, system):
            if cluster.is_asked(want.kind) and not _is_known(want, cluster):
                yield want


def _told_by(cluster: Cluster, system: System) -> tuple[Want, ...]:
    """Worked out anew only where what it reads has become more: see `Cluster.take_over`."""
    return tuple(system(cluster))


def named_secrets(cluster: Cluster) -> set[tuple[str, str]]:
    """Namespace and name of every Secret that an object points to, whether it is there or not."""
    return {
        (want.namespace, want.name)
        for system in SYSTEMS
        for want in cluster.derive(_told_by, system)
        if want.kind == kinds.SECRET and want.name and want.namespace
    }


def _is_known(want: Want, cluster: Cluster) -> bool:
    """Whether the picture already answers what this want is about."""
    if want.name:
        try:
            cluster.get(want.kind, want.namespace, want.name)
        except OutOfView:
            return False
        return True
    return cluster.sees(want.kind, want.namespace)


# --- certificates ------------------------------------------------------------------------

#: Fields of the gateway kinds that name Secrets or ConfigMaps.
_CERTIFICATE_FIELDS = frozenset(
    {"certificateRefs", "caCertificateRefs", "clientCertificateRef", "certificateRef"}
)
_WITH_CERTIFICATES = (
    kinds.GATEWAY,
    kinds.LISTENER_SET,
    kinds.BACKEND_TLS_POLICY,
    kinds.CLIENT_TRAFFIC_POLICY,
    kinds.BACKEND,
    kinds.ENVOY_PROXY,
)


def gateway_certificates(cluster: Cluster) -> Iterator[Want]:
    """Secrets and ConfigMaps that Gateway API and Envoy Gateway name, at whatever depth."""
    for owner in seen(cluster, *_WITH_CERTIFICATES):
        for reference in _named(owner.at("spec")):
            kind = Kind(reference.text("kind") or "Secret", reference.text("group"))
            if kind in (kinds.SECRET, kinds.CONFIG_MAP) and reference.text("name"):
                namespace = reference.text("namespace") or owner.namespace
                yield Want(kind, namespace, reference.text("name"))


def _named(field: Field) -> Iterator[Field]:
    """The references to certificates anywhere below a field."""
    value: Any = field.value
    if isinstance(value, dict):
        for key, inner in field.entries():
            if key not in _CERTIFICATE_FIELDS:
                yield from _named(inner)
            elif isinstance(inner.value, list):
                yield from inner.each()
            else:
                yield inner
    elif isinstance(value, list):
        for item in field.each():
            yield from _named(item)


def envoy_gateway_policies(cluster: Cluster) -> Iterator[Want]:
    """Secrets and ConfigMaps of Envoy Gateway's policies: OIDC clients, users, scripts, bodies."""
    for policy in seen(cluster, *envoy_gateway.POLICIES):
        for reference in envoy_gateway.references(policy):
            if reference.kind in (kinds.SECRET, kinds.CONFIG_MAP):
                yield Want(reference.kind, reference.namespace, reference.name)


def ingress_certificates(cluster: Cluster) -> Iterator[Want]:
    """Secrets of an Ingress that are not of type kubernetes.io/tls, or not there."""
    for resource in seen(cluster, kinds.INGRESS):
        for entry in resource.each("spec", "tls"):
            if entry.text("secretName"):
                yield Want(kinds.SECRET, resource.namespace, entry.text("secretName"))


def cert_manager_secrets(cluster: Cluster) -> Iterator[Want]:
    """The key pairs of CA issuers, and what Certificates are written to."""
    for issuer in seen(cluster, kinds.ISSUER, kinds.CLUSTER_ISSUER):
        name = issuer.text("spec", "ca", "secretName")
        if name:
            yield Want(kinds.SECRET, issuer.namespace or _cluster_resources(cluster), name)
    for certificate in seen(cluster, kinds.CERTIFICATE):
        name = certificate.text("spec", "secretName")
        if name:
            yield Want(kinds.SECRET, certificate.namespace, name)


def _cluster_resources(cluster: Cluster) -> str:
    """The namespace of what ClusterIssuers name; the default where no Pod may be looked at."""
    if not cluster.is_asked(kinds.POD_WHOLE):
        return "cert-manager"
    return cert_manager.cluster_resource_namespace(cluster)


# --- Kong --------------------------------------------------------------------------------

_CLIENT_CERTIFICATE = "konghq.com/client-cert"


def kong_objects(cluster: Cluster) -> Iterator[Want]:
    """CA certificates (which count by their label alone), client certificates, credentials."""
    if not any(cluster.installed(kind) for kind in (kinds.KONG_PLUGIN, kinds.KONG_CONSUMER)):
        return
    yield Want(kinds.SECRET, labels=f"{CA_LABEL}=true")
    yield Want(kinds.CONFIG_MAP, labels=f"{CA_LABEL}=true")
    for service in seen(cluster, kinds.SERVICE):
        for key, kind in CA_ANNOTATIONS.items():
            for name in names(service.annotation(key)):
                yield Want(kind, service.namespace, name)
    for holder in seen(cluster, kinds.SERVICE, kinds.INGRESS):
        if holder.annotation(_CLIENT_CERTIFICATE):
            yield Want(kinds.SECRET, holder.namespace, holder.annotation(_CLIENT_CERTIFICATE))
    consumers = list(seen(cluster, kinds.KONG_CONSUMER))
    for consumer in consumers:
        for name in consumer.texts("credentials"):
            yield Want(kinds.SECRET, consumer.namespace, name)
    if consumers:
        yield Want(kinds.SECRET, labels=CREDENTIAL_LABEL)


def mounted_secrets(cluster: Cluster) -> Iterator[Want]:
    """Secrets that gateway and controller Pods mount: certificates that they read as files."""
    for pod in seen(cluster, kinds.POD_WHOLE):
        for volume in pod.each("spec", "volumes"):
            if volume.text("secret", "secretName"):
                yield Want(kinds.SECRET, pod.namespace, volume.text("secret", "secretName"))


# --- Pods that matter --------------------------------------------------------------------

#: How the usual charts and manifests label the Pods whose arguments and versions checks read:
#: a label and its values, or none for any value.
_CONTROLLERS: Mapping[str, tuple[str, ...]] = {
    "app": (
        *("istiod", "ingress-kong", "proxy-kong", "kong", "cert-manager", "envoy-gateway"),
        *("oauth2-proxy", "prom-label-proxy"),  # proxies that keep the Host header of clients
    ),
    "app.kubernetes.io/name": (
        *("istiod", "kong", "ingress", "gateway", "kong-gateway", "controller"),
        *("gateway-operator", "kong-operator", "cert-manager", "gateway-helm", "envoy-gateway"),
        *("oauth2-proxy", "prom-label-proxy", "prometheus", "thanos-query"),
    ),
    # The proxies of Gateway API gateways, whoever runs them.
    "gateway.networking.k8s.io/gateway-name": (),
    "gateway.envoyproxy.io/owning-gateway-name": (),
    "gateway-operator.konghq.com/managed-by": (),
}
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")


#: Where their labels tell nothing, their names do.
_CONTROLLER_NAMES = re.compile(
    r"(^|-)(kong|istiod|cert-manager|envoy-gateway|oauth2-proxy|prom-label-proxy)(-|$)"
)
#: So many Pods are taken for gateways and controllers and read whole.
MOST_CONTROLLERS = 300


def controllers(cluster: Cluster) -> Iterator[Want]:
    """The Pods of gateways and controllers: by their labels, and by their names where known."""
    if cluster.is_asked(kinds.POD) and cluster.sees(kinds.POD):
        found = filter(_is_controller, cluster[kinds.POD])
        for pod in islice(found, MOST_CONTROLLERS):
            yield Want(kinds.POD_WHOLE, pod.namespace, pod.name)
        return
    for key, values in _CONTROLLERS.items():
        yield Want(kinds.POD_WHOLE, labels=f"{key} in ({','.join(values)})" if values else key)


def _is_controller(pod: Resource) -> bool:
    labels = pod.own_labels
    for key, values in _CONTROLLERS.items():
        if key in labels and (not values or labels[key] in values):
            return True
    return bool(_CONTROLLER_NAMES.search(pod.name))


def pods_of_events(cluster: Cluster) -> Iterator[Want]:
    """The Pods that events speak of."""
    for event in seen(cluster, kinds.EVENT):
        involved = event.at("involvedObject")
        if involved.text("kind") == "Pod" and involved.text("name"):
            yield Want(kinds.POD_WHOLE, involved.text("namespace"), involved.text("name"))


def istio_gateway_pods(cluster: Cluster) -> Iterator[Want]:
    """The Pods that Istio Gateways select, in whatever namespace.

    Gateways that tell their Pods apart by the value of one label are asked for together.
    """
    together: dict[str, set[str]] = defaultdict(set)
    for gateway in seen(cluster, kinds.ISTIO_GATEWAY):
        labels = gateway.labels("spec", "selector")
        selector = selector_text(labels)
        if not selector:  # an empty one selects every Pod there is
            continue
        if not (cluster.is_asked(kinds.POD) and cluster.sees(kinds.POD)):
            yield Want(kinds.POD_WHOLE, labels=selector)
            yield Want(kinds.POD, labels=selector)
        elif len(labels) == 1 and all(labels.values()):
            if cluster.select(kinds.POD, labels):
                for key, value in labels.items():
                    together[key].add(value)
        else:
            for pod in cluster.select(kinds.POD, labels):
                yield Want(kinds.POD_WHOLE, pod.namespace, labels=selector)
    for key, values in together.items():
        ordered = sorted(values)
        for start in range(0, len(ordered), MOST_VALUES):
            some = ",".join(ordered[start : start + MOST_VALUES])
            yield Want(kinds.POD_WHOLE, labels=f"{key} in ({some})")


def selector_text(labels: Mapping[str, str]) -> str:
    """Labels as a selector; empty where the API server would not take it."""
    if not all(isinstance(v, str) and _LABEL.fullmatch(k) for k, v in labels.items()):
        return ""
    if not all(v == "" or _LABEL.fullmatch(v) for v in labels.values()):
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def istio_credentials(cluster: Cluster) -> Iterator[Want]:
    """`credentialName`: Secrets in the namespace of the gateway Pods."""
    for gateway in seen(cluster, kinds.ISTIO_GATEWAY):
        credentials = {
            name
            for server in gateway.each("spec", "servers")
            for name in (
                server.text("tls", "credentialName"),
                *server.texts("tls", "credentialNames"),
                server.text("tls", "caCertCredentialName"),
            )
            if name and "://" not in name.replace("kubernetes://", "")
        }
        for namespace in _homes(gateway, cluster):
            for credential in credentials:
                name = credential.removeprefix("kubernetes://")
                owner, slash, rest = name.partition("/")
                place, name = (owner, rest) if slash else (namespace, name)
                yield Want(kinds.SECRET, place, name)
    for rule in seen(cluster, kinds.DESTINATION_RULE):
        name = rule.text("spec", "trafficPolicy", "tls", "credentialName")
        if name:
            yield Want(kinds.SECRET, rule.namespace, name)


def _homes(gateway: Resource, cluster: Cluster) -> set[str]:
    """The namespaces of the Pods that a Gateway selects; its own where none can be seen."""
    selector = gateway.labels("spec", "selector")
    homes: set[str] = set()
    for kind in (kinds.POD, kinds.POD_WHOLE):
        if selector and cluster.is_asked(kind):
            try:
                homes.update(pod.namespace for pod in cluster.select(kind, selector))
            except OutOfView:
                continue
    return homes or {gateway.namespace}


def istio_mesh_config(cluster: Cluster) -> Iterator[Want]:
    """The ConfigMaps of the control plane, of every revision that runs."""
    if not any(cluster.installed(kind) for kind in kinds.READINGS if "istio.io" in kind.group):
        return
    homes = {("istio-system", "")}
    for pod in seen(cluster, kinds.POD):
        if pod.label("app") == "istiod":
            homes |= {(pod.namespace, ""), (pod.namespace, pod.label("istio.io/rev"))}
    for namespace, revision in homes:
        suffix = f"-{revision}" if revision not in ("", "default") else ""
        for name in ("istio", "istio-sidecar-injector"):
            yield Want(kinds.CONFIG_MAP, namespace, f"{name}{suffix}")


def backend_pods(cluster: Cluster) -> Iterator[Want]:
    """One Pod behind each Service that an Ingress or a route of Kong leads to, up to a bound.

    Whether a backend speaks TLS is told best by its probes. Services whose protocol is annotated
    come last.
    """
    if not (cluster.is_asked(kinds.POD) and cluster.is_asked(kinds.SERVICE)):
        return
    backends = sorted(
        (service for key in _backends(cluster) if (service := _service(key, cluster))),
        key=lambda service: (bool(service.annotation(kong.PROTOCOL)), service.ref),
    )
    for service in islice(backends, MOST_BACKENDS):
        try:
            pods = services.pods(cluster, service)[:_MOST_PODS]
        except OutOfView:
            continue
        if pods and not any(_is_read(pod, cluster) for pod in pods):
            yield Want(kinds.POD_WHOLE, pods[0].namespace, pods[0].name)


def _is_read(pod: Resource, cluster: Cluster) -> bool:
    try:
        cluster.whole(pod)
    except LookupError:
        return False
    return True


def _service(key: tuple[str, str], cluster: Cluster) -> Resource | None:
    try:
        return cluster.get(kinds.SERVICE, *key)
    except OutOfView:
        return None


def _backends(cluster: Cluster) -> set[tuple[str, str]]:
    """The Services behind Ingresses, and behind HTTPRoutes and GRPCRoutes of Kong."""
    found = {
        (resource.namespace, backend.service)
        for resource in seen(cluster, kinds.INGRESS)
        for backend in ingress.backends(resource)
        if backend.service
    }
    if not all(map(cluster.is_asked, kong.ENTRY_KINDS)):
        return found
    for route in seen(cluster, kinds.HTTP_ROUTE, kinds.GRPC_ROUTE):
        try:
            is_kongs = kong.is_route(route, cluster)
        except OutOfView:
            continue
        if is_kongs:
            found |= {(b.namespace, b.name) for b in gateway_api.backend_refs(route)}
    return found


SYSTEMS: Iterable[System] = (
    gateway_certificates,
    envoy_gateway_policies,
    ingress_certificates,
    cert_manager_secrets,
    kong_objects,
    mounted_secrets,
    controllers,
    pods_of_events,
    istio_gateway_pods,
    istio_credentials,
    istio_mesh_config,
    backend_pods,
)
