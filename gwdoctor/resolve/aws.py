"""The Network Load Balancer that Envoy Gateway's Service asks AWS for.

Rules: aws-load-balancer-controller 3 (pkg/service, docs/guide/service/annotations.md) for what
the annotations mean; Envoy Gateway 1.9 for how they reach the Service and what its ports are
called.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Change, Field, Fix, Resource
from gwdoctor.resolve import envoy_gateway, gateway_api
from gwdoctor.resolve.gateway_api import Listener

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
INFRASTRUCTURE = ("spec", "infrastructure", "annotations")
ENVOY_SERVICE = ("spec", "provider", "kubernetes", "envoyService")
MOST_ANNOTATIONS = 16  # of spec.infrastructure, by the CRD
#: Classes whose controllers read these annotations: the AWS LBC and EKS Auto Mode.
_OWN_CLASSES = ("service.k8s.aws/nlb", "eks.amazonaws.com/nlb")
#: What `balancer` reads, for a check whose subject is the Gateway.
NEEDS = (kinds.GATEWAY_CLASS, kinds.ENVOY_PROXY, kinds.SERVICE, kinds.LISTENER_SET)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the Service, and the listeners that are served on it.

    Envoy Gateway calls it `<protocol>-<port>`, not by the listener's name.
    """

    number: int
    name: str
    is_tcp: bool
    listeners: tuple[Listener, ...]


@dataclass(frozen=True, slots=True)
class Balancer:
    """The load balancer of one Gateway. `annotations` are those that arrive at the Service.

    Each is the field that one would edit: on the EnvoyProxy, which wins, on the Gateway, or on
    the Service where somebody put it there.
    """

    gateway: Resource
    proxy: Resource | None
    service: Resource | None
    annotations: Mapping[str, Field]
    ports: tuple[Port, ...]

    def has(self, key: str) -> bool:
        """Whether the Service gets `aws-load-balancer-<key>`."""
        return PREFIX + key in self.annotations

    def text(self, key: str) -> str:
        """The value of `aws-load-balancer-<key>`, or an empty string."""
        spot = self.annotations.get(PREFIX + key)
        return spot.text().strip() if spot is not None else ""

    def items(self, key: str) -> tuple[str, ...]:
        """The comma separated values of `aws-load-balancer-<key>`."""
        return tuple(part.strip() for part in self.text(key).split(",") if part.strip())

    def attributes(self) -> dict[str, str]:
        """`target-group-attributes` as a mapping."""
        pairs = (item.partition("=") for item in self.items("target-group-attributes"))
        return {key.strip(): value.strip() for key, _, value in pairs}

    def where(self, key: str) -> Field:
        """The field of `aws-load-balancer-<key>`, or the one where it would be written."""
        return self.annotations.get(PREFIX + key, self.gateway.at(*INFRASTRUCTURE, PREFIX + key))

    def because(self, *fields: Field) -> tuple[Field, ...]:
        """These fields, with the Gateway where the annotation stands elsewhere."""
        return (*fields, self.gateway)

    def misplaced(self) -> dict[str, Field]:
        """The keys that stand in the Gateway's own metadata and do not reach the Service."""
        return {
            key: spot
            for key, spot in self.gateway.entries("metadata", "annotations")
            if is_aws_key(key) and key not in self.annotations
        }

    def as_meant(self) -> Balancer:
        """The load balancer that there will be once the misplaced annotations arrive."""
        return replace(self, annotations={**self.misplaced(), **self.annotations})

    def ends_tls(self, port: Port) -> bool:
        """Whether the load balancer ends TLS on a port.

        Without `ssl-ports` a certificate turns every TCP port into a TLS listener.
        """
        if not self.items("ssl-cert") or not port.is_tcp:
            return False
        chosen = self.items("ssl-ports")
        return not chosen or str(port.number) in chosen or port.name in chosen

    def re_encrypts(self, port: Port) -> bool:
        """Whether it speaks TLS to Envoy again; nothing but the exact word `ssl` asks for it."""
        return self.ends_tls(port) and self.text("backend-protocol") == "ssl"

    def sends_proxy_protocol(self, port: Port) -> bool:
        """Whether its connections to a port start with a PROXY protocol header."""
        return (
            self.text("proxy-protocol") == "*"
            or str(port.number) in self.items("proxy-protocol-per-target-group")
            or self.attributes().get("proxy_protocol_v2.enabled") == "true"
        )

    @property
    def proxy_protocol_field(self) -> Field:
        """Which annotation switches the PROXY protocol on."""
        keys = ("proxy-protocol", "proxy-protocol-per-target-group", "target-group-attributes")
        return next((self.where(key) for key in keys if self.has(key)), self.where(keys[0]))

    @property
    def load_balancer_class(self) -> str:
        """`spec.loadBalancerClass`; the controller's webhook may set it as the Service is made."""
        made = self.service.text("spec", "loadBalancerClass") if self.service is not None else ""
        asked = (
            self.proxy.text(*ENVOY_SERVICE, "loadBalancerClass") if self.proxy is not None else ""
        )
        return asked or made

    @property
    def is_claimed(self) -> bool:
        """Whether a controller that reads all of these annotations takes the Service."""
        if self.load_balancer_class:
            return self.load_balancer_class in _OWN_CLASSES
        return self.text("type") in ("external", "nlb-ip")

    @property
    def target_type(self) -> str:
        """`instance` or `ip`."""
        if self.text("type") == "nlb-ip":
            return "ip"
        return self.text("nlb-target-type") or "instance"

    @property
    def keeps_traffic_local(self) -> bool:
        """`externalTrafficPolicy: Local`, which Envoy Gateway sets unless told otherwise."""
        asked = (
            self.proxy.text(*ENVOY_SERVICE, "externalTrafficPolicy")
            if self.proxy is not None
            else ""
        )
        made = (
            self.service.text("spec", "externalTrafficPolicy") if self.service is not None else ""
        )
        return (asked or made or "Local") == "Local"

    def annotated(self, key: str, value: str) -> Change | None:
        """The change that gives an annotation a value, made where it counts.

        None where there is no room: Gateways take 16, and merged Gateways none of their own.
        """
        full = PREFIX + key
        proxy, path = self.proxy, (*ENVOY_SERVICE, "annotations", full)
        if proxy is not None and (proxy.has(*path) or envoy_gateway.merges_gateways(proxy)):
            return on_envoy_service(proxy, *path, to=value)
        own = self.gateway.labels(*INFRASTRUCTURE)
        if full in own or len(own) < MOST_ANNOTATIONS:
            return self.gateway.changed(*INFRASTRUCTURE, full, to=value)
        return on_envoy_service(proxy, *path, to=value) if proxy is not None else None

    def fix(self, title: str, key: str, value: str, *, needs_review: bool = True) -> Fix | None:
        """`annotated` as a fix; None where there is no room."""
        change = self.annotated(key, value)
        return Fix(title, (change,), needs_review) if change is not None else None


def on_envoy_service(proxy: Resource, *steps: str, to: Any) -> Change:
    """This EnvoyProxy with one value replaced, and the provider's type, which its schema demands."""
    change = proxy.changed(*steps, to=to)
    if not proxy.has("spec", "provider", "type"):
        change = change.changed("spec", "provider", "type", to="Kubernetes")
    return change


def balancer(gateway: Resource, cluster: Cluster) -> Balancer | None:
    """The load balancer of a Gateway of Envoy Gateway, None where nothing speaks of AWS.

    Raises OutOfView where class, EnvoyProxy or ListenerSets cannot be seen.
    """
    return cluster.derive(_balancer, gateway)


def is_aws_key(key: str) -> bool:
    """Whether an annotation is read from Services by the AWS controllers."""
    return key.startswith(PREFIX)


def _balancer(cluster: Cluster, gateway: Resource) -> Balancer | None:
    if not envoy_gateway.answers_for(gateway, cluster):
        return None
    proxy = envoy_gateway.proxy(gateway, cluster)
    service = envoy_gateway.service(gateway, proxy, cluster)
    if _service_type(proxy, service) != "LoadBalancer":
        return None
    annotations = _annotations(gateway, proxy, service)
    misplaced = gateway.annotations
    if not any(_speaks_of_aws(key) for key in (*annotations, *misplaced)):
        return None
    return Balancer(gateway, proxy, service, annotations, _ports(gateway, proxy, cluster))


def _speaks_of_aws(key: str) -> bool:
    return is_aws_key(key) or key.startswith("alb.ingress.kubernetes.io/")


def _service_type(proxy: Resource | None, service: Resource | None) -> str:
    asked = proxy.text(*ENVOY_SERVICE, "type") if proxy is not None else ""
    made = service.text("spec", "type") if service is not None else ""
    return asked or made or "LoadBalancer"


def _annotations(
    gateway: Resource, proxy: Resource | None, service: Resource | None
) -> dict[str, Field]:
    """Service, overlaid by what Gateway, then EnvoyProxy, then its patch say it will be."""
    found: dict[str, Field] = {}
    if service is not None:
        found.update(service.entries("metadata", "annotations"))
    found.update(gateway.entries(*INFRASTRUCTURE))
    if proxy is not None:
        found.update(proxy.entries(*ENVOY_SERVICE, "annotations"))
        found.update(proxy.entries(*ENVOY_SERVICE, "patch", "value", "metadata", "annotations"))
    return found


def _ports(gateway: Resource, proxy: Resource | None, cluster: Cluster) -> tuple[Port, ...]:
    served: dict[tuple[int, bool], list[Listener]] = defaultdict(list)
    owners = [gateway]
    if envoy_gateway.merges_gateways(proxy):
        name = gateway.text("spec", "gatewayClassName")
        owners = [g for g in cluster[kinds.GATEWAY] if g.text("spec", "gatewayClassName") == name]
    for owner in owners:
        for listener in gateway_api.all_listeners(owner, cluster):
            if listener.port is not None:
                served[listener.port, listener.protocol != "UDP"].append(listener)
    return tuple(
        Port(number, f"{listeners[0].protocol.lower()}-{number}", is_tcp, tuple(listeners))
        for (number, is_tcp), listeners in sorted(served.items(), key=lambda item: item[0])
    )


def port_of(found: Balancer, listener: Listener) -> Port | None:
    """The port of the Service that a listener is served on."""
    return next((port for port in found.ports if listener in port.listeners), None)


def port_names(found: Balancer) -> set[str]:
    """Numbers and names of the ports of the Service: as they will be, and as they are."""
    names = {name for port in found.ports for name in (str(port.number), port.name)}
    if found.service is not None:
        for port in found.service.each("spec", "ports"):
            names |= {str(port.number("port")), port.text("name")}
    return names


def fed_by_tls_port(listener: Listener, gateway: Resource, cluster: Cluster) -> bool:
    """Whether what arrives at a clear-text listener was https when the client sent it.

    Judged by what was meant: annotations that do not arrive yet count as well, lest mending
    them should reveal the next surprise.
    """
    found = balancer(gateway, cluster)
    port = port_of(found, listener) if found is not None else None
    return found is not None and port is not None and found.as_meant().ends_tls(port)


def patch_command(resource: Resource, *operations: Mapping[str, object]) -> str:
    """A `kubectl patch` for what applying a manifest cannot do: taking a field away."""
    where = f" -n {shlex.quote(resource.namespace)}" if resource.namespace else ""
    plural = kinds.READINGS[resource.ref.kind].plural
    group = resource.ref.kind.group
    target = f"{plural}.{group}" if group else plural
    patch = shlex.quote(json.dumps(operations))
    return f"kubectl patch {target} {shlex.quote(resource.name)}{where} --type json -p {patch}"
