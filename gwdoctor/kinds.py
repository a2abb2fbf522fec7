"""Every kind that a check can ask for, and how much of it is read and kept.

A *view* is the part of a resource that survives decoding: everything else is cut while the
bytes are read. Configuration is kept whole, bulk kinds as far as a check looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

import msgspec

from gwdoctor.model import BulkMetadata, Kind, Metadata

# --- views -------------------------------------------------------------------------------


class Whole(msgspec.Struct, omit_defaults=True):
    """Metadata, spec and status."""

    metadata: Metadata
    spec: Any = None
    status: Any = None


class MetadataOnly(msgspec.Struct, omit_defaults=True):
    """For kinds whose names, labels and annotations say all (PartialObjectMetadata)."""

    metadata: Metadata


class BulkMetadataOnly(msgspec.Struct, omit_defaults=True):
    metadata: BulkMetadata


class ConfigMapView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    data: dict[str, str] | None = None


class EndpointSliceView(msgspec.Struct, omit_defaults=True):
    metadata: BulkMetadata
    addressType: str | None = None
    endpoints: list[EndpointView] | None = None
    ports: list[EndpointPortView] | None = None


class EndpointView(msgspec.Struct, omit_defaults=True):
    addresses: list[str] | None = None
    conditions: EndpointConditionsView | None = None
    targetRef: ObjectView | None = None


class EndpointConditionsView(msgspec.Struct, omit_defaults=True, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class EndpointPortView(msgspec.Struct, omit_defaults=True, frozen=True):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    appProtocol: str | None = None


class ObjectView(msgspec.Struct, omit_defaults=True):
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None


class PluginView(msgspec.Struct, omit_defaults=True):
    """Kong's plugin kinds keep their fields beside metadata. Values of `config` may be secret."""

    metadata: Metadata
    plugin: str | None = None
    disabled: bool | None = None
    configFrom: Any = None
    config: Any = None
    protocols: Any = None


class ConsumerView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    username: str | None = None
    custom_id: str | None = None
    credentials: list[str] | None = None
    consumerGroups: list[str] | None = None


class KongIngressView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    upstream: Any = None
    proxy: Any = None
    route: Any = None


class WebhooksView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    webhooks: Any = None


class EventView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    involvedObject: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    count: int | None = None
    firstTimestamp: str | None = None
    lastTimestamp: str | None = None
    eventTime: str | None = None
    series: dict[str, Any] | None = None


class LogLineView(msgspec.Struct, omit_defaults=True):
    """A line that says something, without secrets; `count` such lines, the last one at `last`."""

    text: str | None = None
    count: int | None = None
    last: str | None = None


class ContainerLogView(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    lines: list[LogLineView] | None = None


class PodLogView(msgspec.Struct, omit_defaults=True):
    """What the containers of a Pod of this name logged, as far as it means something to us."""

    metadata: Metadata
    containers: list[ContainerLogView] | None = None


class CertificateView(msgspec.Struct, omit_defaults=True):
    """What is kept of one X.509 certificate. Times are RFC 3339 in UTC; numbers lower-case hex."""

    subject: str = ""
    issuer: str = ""
    serial: str = ""
    notBefore: str = ""
    notAfter: str = ""
    dnsNames: list[str] = []
    ipAddresses: list[str] = []
    sha256: str = ""  #: of the DER; equal means the same certificate
    publicKey: str = ""  #: SHA-256 of the SubjectPublicKeyInfo
    isCA: bool = False
    selfSigned: bool = False
    keyType: str = ""  #: RSA, EC, Ed25519, ...
    keyBits: int = 0
    signatureHash: str = ""  #: sha256, sha1, ...; empty for Ed25519
    subjectKeyId: str = ""
    authorityKeyId: str = ""
    usages: list[
        str
    ] = []  #: extended key usages as dotted OIDs; empty when there is no such extension
    extensionsUnread: bool = False  #: they are broken, so names and usages say nothing


class OwnerView(msgspec.Struct, omit_defaults=True):
    """An object, and the field of it that asks for something."""

    apiVersion: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    path: list[str | int] | None = None


class HandshakeView(msgspec.Struct, omit_defaults=True):
    """What a server showed to a client that asked for `host`; see `gwdoctor.source.handshake`."""

    metadata: Metadata
    purpose: str | None = None  #: `entry`, `backend` or `reuse`
    host: str | None = None
    address: str | None = None  #: as a message shows it
    owner: OwnerView | None = None  #: who asks for the certificate, or leads to the backend
    secret: ObjectView | None = None  #: where that certificate should be
    problem: str | None = None
    told: str | None = None
    version: str | None = None
    protocol: str | None = None
    certificates: list[CertificateView] | None = None
    reusedFor: str | None = None  #: another host, asked for on the same connection
    status: int | None = None  #: of the answer to that
    ownStatus: int | None = None  #: of the same request on a connection of its own


class PemView(msgspec.Struct, omit_defaults=True):
    """One key of a Secret that should hold certificates. `problem` says why it does not."""

    certificates: list[CertificateView] = []
    problem: str = ""


class SecretView(msgspec.Struct, omit_defaults=True):
    """Of a Secret: the certificates in it and whether the private key fits, never the key.

    `pem` is keyed by the data key (`tls.crt`, `cert`, `ca.crt`, `cacert`). `key` is the answer
    for tls.key (or `key`) against the first certificate: `matches`, `differs`, `missing`,
    `unreadable`, `encrypted`, or `unknown` when there is no certificate to compare with.
    """

    metadata: Metadata
    type: str = "Opaque"
    keys: list[str] = []  #: names of the data keys, sorted
    emptyKeys: list[str] = []  #: those of them without a value
    pem: dict[str, PemView] = {}
    key: str = ""
    id: str = ""  #: the `id` of a Kong CA Secret: a UUID, not a secret


class ContainerPortView(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    containerPort: int | None = None
    protocol: str | None = None


class ContainerView(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[dict[str, Any]] | None = None
    ports: list[ContainerPortView] | None = None
    readinessProbe: Any = None
    livenessProbe: Any = None
    volumeMounts: list[dict[str, Any]] | None = None
    restartPolicy: str | None = None


class PodSpecView(msgspec.Struct, omit_defaults=True):
    containers: list[ContainerView] | None = None
    initContainers: list[ContainerView] | None = None
    serviceAccountName: str | None = None
    hostNetwork: bool | None = None
    volumes: list[dict[str, Any]] | None = None


class PodView(msgspec.Struct, omit_defaults=True):
    metadata: Metadata
    spec: PodSpecView | None = None
    status: Any = None


# --- kinds -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """How a kind is read."""

    plural: str
    versions: tuple[str, ...] = ("v1",)  #: that the checks understand, best first
    namespaced: bool = True
    view: type[msgspec.Struct] = Whole
    metadata_only: bool = False  #: asked for as PartialObjectMetadataList
    field_selector: str = ""
    other_field_selectors: tuple[str, ...] = ()  #: more lists of the same kind
    on_reference: bool = (
        False  #: never listed: read by name or selector when something points there
    )
    trim: Callable[[Any], None] | None = None  #: a last cut, in place
    policy: bool = (
        False  #: nothing refers to it by name: files that hold none mean that there is none
    )


READINGS: dict[Kind, Reading] = {}


def _kind(name: str, group: str, plural: str, *versions: str, facet: str = "", **how: Any) -> Kind:
    kind = Kind(name, group, facet)
    READINGS[kind] = Reading(plural, versions or ("v1",), **how)
    return kind


def _keep_mesh_annotations(pod: BulkMetadataOnly) -> None:
    """Of a Pod's annotations only those that say how a mesh or gateway runs it."""
    annotations = pod.metadata.annotations
    if annotations:
        kept = {k: v for k, v in annotations.items() if "istio.io/" in k.partition("/")[0] + "/"}
        status = kept.get("sidecar.istio.io/status")
        if status is not None:  # a long JSON text; that it is there is what counts
            kept["sidecar.istio.io/status"] = "injected"
        pod.metadata.annotations = kept or None


@lru_cache(10_000)
def _one_copy(value: Any) -> Any:
    return value


def _share_endpoints(endpoint_slice: EndpointSliceView) -> None:
    """Thousands of slices say the same: one copy of it is kept."""
    if endpoint_slice.ports:
        endpoint_slice.ports = [_one_copy(port) for port in endpoint_slice.ports]
    for endpoint in endpoint_slice.endpoints or ():
        endpoint.conditions = _one_copy(endpoint.conditions)
        target = endpoint.targetRef
        if target is not None:
            target.kind = intern(target.kind) if target.kind else None
            target.namespace = intern(target.namespace) if target.namespace else None


#: Environment variables of controllers and proxies that checks read; the values of others are cut.
_KNOWN_ENV = (
    "KONG_",
    "CONTROLLER_",
    "ISTIO_META_",
    "PILOT_",
    "ENABLE_",
    "BLOCKED_",
    "PROXY_CONFIG",
)


def _drop_foreign_env(pod: PodView) -> None:
    """An application's environment may hold credentials: keep no value that is not read."""
    if pod.spec is None:
        return
    for container in (pod.spec.containers or []) + (pod.spec.initContainers or []):
        container.env = [
            variable
            for variable in container.env or []
            if str(variable.get("name", "")).startswith(_KNOWN_ENV)
            and not any(word in str(variable["name"]) for word in ("PASSWORD", "TOKEN", "SECRET"))
        ] or None


SERVICE = _kind("Service", "", "services")
POD = _kind(
    "Pod", "", "pods", view=BulkMetadataOnly, metadata_only=True, trim=_keep_mesh_annotations
)
#: The few Pods whose containers matter (gateways, controllers), with spec and status.
POD_WHOLE = _kind(
    "Pod", "", "pods", facet="whole", view=PodView, on_reference=True, trim=_drop_foreign_env
)
NAMESPACE = _kind(
    "Namespace", "", "namespaces", namespaced=False, view=MetadataOnly, metadata_only=True
)
SECRET = _kind("Secret", "", "secrets", view=SecretView, field_selector="type=kubernetes.io/tls")
CONFIG_MAP = _kind("ConfigMap", "", "configmaps", view=ConfigMapView, on_reference=True)
EVENT = _kind(
    "Event",
    "",
    "events",
    view=EventView,
    # of what happens to workloads there are too many, and they are not about the entry
    field_selector="type=Warning,"
    + ",".join(
        f"involvedObject.kind!={name}"
        for name in (
            *("Pod", "Node", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet"),
            *("Job", "CronJob", "HorizontalPodAutoscaler", "PersistentVolumeClaim"),
        )
    ),
    other_field_selectors=(
        "reason=KongConfigurationApplyFailed,involvedObject.kind=Pod",
        "reason=KongConfigurationSucceeded",
    ),
    policy=True,
)
ENDPOINT_SLICE = _kind(
    "EndpointSlice",
    "discovery.k8s.io",
    "endpointslices",
    view=EndpointSliceView,
    trim=_share_endpoints,
)
INGRESS = _kind("Ingress", "networking.k8s.io", "ingresses", policy=True)
INGRESS_CLASS = _kind("IngressClass", "networking.k8s.io", "ingressclasses", namespaced=False)
CRD = _kind(
    "CustomResourceDefinition",
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    namespaced=False,
    view=MetadataOnly,
    metadata_only=True,
)
VALIDATING_WEBHOOK = _kind(
    "ValidatingWebhookConfiguration",
    "admissionregistration.k8s.io",
    "validatingwebhookconfigurations",
    namespaced=False,
    view=WebhooksView,
    policy=True,
)
MUTATING_WEBHOOK = _kind(
    "MutatingWebhookConfiguration",
    "admissionregistration.k8s.io",
    "mutatingwebhookconfigurations",
    namespaced=False,
    view=WebhooksView,
    policy=True,
)
API_SERVICE = _kind(
    "APIService", "apiregistration.k8s.io", "apiservices", namespaced=False, policy=True
)

_GATEWAY_API = "gateway.networking.k8s.io"
GATEWAY_CLASS = _kind(
    "GatewayClass", _GATEWAY_API, "gatewayclasses", "v1", "v1beta1", namespaced=False
)
GATEWAY = _kind("Gateway", _GATEWAY_API, "gateways", "v1", "v1beta1")
HTTP_ROUTE = _kind("HTTPRoute", _GATEWAY_API, "httproutes", "v1", "v1beta1", policy=True)
GRPC_ROUTE = _kind("GRPCRoute", _GATEWAY_API, "grpcroutes", "v1", "v1alpha2", policy=True)
TLS_ROUTE = _kind("TLSRoute", _GATEWAY_API, "tlsroutes", "v1", "v1alpha3", "v1alpha2", policy=True)
TCP_ROUTE = _kind("TCPRoute", _GATEWAY_API, "tcproutes", "v1", "v1alpha2", policy=True)
UDP_ROUTE = _kind("UDPRoute", _GATEWAY_API, "udproutes", "v1", "v1alpha2", policy=True)
REFERENCE_GRANT = _kind(
    "ReferenceGrant", _GATEWAY_API, "referencegrants", "v1", "v1beta1", policy=True
)
LISTENER_SET = _kind("ListenerSet", _GATEWAY_API, "listenersets", "v1", policy=True)
BACKEND_TLS_POLICY = _kind(
    "BackendTLSPolicy",
    _GATEWAY_API,
    "backendtlspolicies",
    "v1",
    "v1alpha3",
    policy=True,
)

_ENVOY_GATEWAY = "gateway.envoyproxy.io"
ENVOY_PROXY = _kind("EnvoyProxy", _ENVOY_GATEWAY, "envoyproxies", "v1alpha1")
CLIENT_TRAFFIC_POLICY = _kind(
    "ClientTrafficPolicy",
    _ENVOY_GATEWAY,
    "clienttrafficpolicies",
    "v1alpha1",
    policy=True,
)
BACKEND_TRAFFIC_POLICY = _kind(
    "BackendTrafficPolicy",
    _ENVOY_GATEWAY,
    "backendtrafficpolicies",
    "v1alpha1",
    policy=True,
)
SECURITY_POLICY = _kind(
    "SecurityPolicy", _ENVOY_GATEWAY, "securitypolicies", "v1alpha1", policy=True
)
ENVOY_EXTENSION_POLICY = _kind(
    "EnvoyExtensionPolicy",
    _ENVOY_GATEWAY,
    "envoyextensionpolicies",
    "v1alpha1",
    policy=True,
)
ENVOY_PATCH_POLICY = _kind(
    "EnvoyPatchPolicy", _ENVOY_GATEWAY, "envoypatchpolicies", "v1alpha1", policy=True
)
BACKEND = _kind("Backend", _ENVOY_GATEWAY, "backends", "v1alpha1")

_ISTIO_NET = "networking.istio.io"
_ISTIO_NET_VERSIONS = ("v1", "v1beta1", "v1alpha3")
ISTIO_GATEWAY = _kind("Gateway", _ISTIO_NET, "gateways", *_ISTIO_NET_VERSIONS)
VIRTUAL_SERVICE = _kind(
    "VirtualService", _ISTIO_NET, "virtualservices", *_ISTIO_NET_VERSIONS, policy=True
)
DESTINATION_RULE = _kind(
    "DestinationRule", _ISTIO_NET, "destinationrules", *_ISTIO_NET_VERSIONS, policy=True
)
SERVICE_ENTRY = _kind(
    "ServiceEntry", _ISTIO_NET, "serviceentries", *_ISTIO_NET_VERSIONS, policy=True
)
SIDECAR = _kind("Sidecar", _ISTIO_NET, "sidecars", *_ISTIO_NET_VERSIONS, policy=True)
WORKLOAD_ENTRY = _kind(
    "WorkloadEntry", _ISTIO_NET, "workloadentries", *_ISTIO_NET_VERSIONS, policy=True
)
ENVOY_FILTER = _kind("EnvoyFilter", _ISTIO_NET, "envoyfilters", "v1alpha3", policy=True)
_ISTIO_SEC = "security.istio.io"
PEER_AUTHENTICATION = _kind(
    "PeerAuthentication",
    _ISTIO_SEC,
    "peerauthentications",
    "v1",
    "v1beta1",
    policy=True,
)
AUTHORIZATION_POLICY = _kind(
    "AuthorizationPolicy",
    _ISTIO_SEC,
    "authorizationpolicies",
    "v1",
    "v1beta1",
    policy=True,
)
REQUEST_AUTHENTICATION = _kind(
    "RequestAuthentication",
    _ISTIO_SEC,
    "requestauthentications",
    "v1",
    "v1beta1",
    policy=True,
)
TRAFFIC_EXTENSION = _kind(
    "TrafficExtension",
    "extensions.istio.io",
    "trafficextensions",
    "v1alpha1",
    policy=True,
)

_KONG = "configuration.konghq.com"
KONG_PLUGIN = _kind("KongPlugin", _KONG, "kongplugins", view=PluginView)
KONG_CLUSTER_PLUGIN = _kind(
    "KongClusterPlugin", _KONG, "kongclusterplugins", namespaced=False, view=PluginView
)
KONG_CONSUMER = _kind("KongConsumer", _KONG, "kongconsumers", view=ConsumerView, policy=True)
KONG_INGRESS = _kind("KongIngress", _KONG, "kongingresses", view=KongIngressView)
KONG_UPSTREAM_POLICY = _kind("KongUpstreamPolicy", _KONG, "kongupstreampolicies", "v1beta1")
TCP_INGRESS = _kind("TCPIngress", _KONG, "tcpingresses", "v1beta1", policy=True)
UDP_INGRESS = _kind("UDPIngress", _KONG, "udpingresses", "v1beta1", policy=True)
KONG_SERVICE_FACADE = _kind(
    "KongServiceFacade",
    "incubator.ingress-controller.konghq.com",
    "kongservicefacades",
    "v1alpha1",
)

CERTIFICATE = _kind("Certificate", "cert-manager.io", "certificates", policy=True)
CERTIFICATE_REQUEST = _kind(
    "CertificateRequest", "cert-manager.io", "certificaterequests", policy=True
)
ISSUER = _kind("Issuer", "cert-manager.io", "issuers")
CLUSTER_ISSUER = _kind("ClusterIssuer", "cert-manager.io", "clusterissuers", namespaced=False)
ORDER = _kind("Order", "acme.cert-manager.io", "orders", policy=True)
CHALLENGE = _kind("Challenge", "acme.cert-manager.io", "challenges", policy=True)


#: No server knows this group: what is observed and not read from the API is put into pictures
#: of a cluster as objects of it, so that checks look at it as at everything else.
_OURS = "gwdoctor"
POD_LOG = _kind("PodLog", _OURS, "podlogs", view=PodLogView, on_reference=True, policy=True)

HANDSHAKE = _kind(
    "Handshake", _OURS, "handshakes", view=HandshakeView, on_reference=True, policy=True
)
OURS = frozenset(kind for kind in READINGS if kind.group == _OURS)

#: What the running system says and does, and nobody declared.
OBSERVED = (EVENT, POD_LOG, HANDSHAKE)


def by_name(name: str, group: str) -> tuple[Kind, ...]:
    """The kinds that a manifest of this kind and group is read as (Pods: two)."""
    return tuple(kind for kind in READINGS if kind.name == name and kind.group == group)
