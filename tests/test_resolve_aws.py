"""What load balancer Envoy Gateway's Service asks AWS for."""

from __future__ import annotations

import casefile
import pytest

from gwdoctor import Cluster, Kind, Resource, kinds
from gwdoctor.resolve import aws, envoy_gateway
from gwdoctor.resolve.aws import Balancer

CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: class, namespace: system}
---
"""


def gateway(annotations: str, parameters: str = "", listeners: str = "") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, namespace: infra}}
spec:
  gatewayClassName: eg
  infrastructure: {{annotations: {{{annotations}}}{parameters}}}
  listeners: [{listeners or "{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTP}"}]
---
""".replace("@", aws.PREFIX)


def proxy(name: str, namespace: str, spec: str) -> str:
    return f"""
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
---
""".replace("@", aws.PREFIX)


def envoy_service(fields: str) -> str:
    return f"provider: {{type: Kubernetes, kubernetes: {{envoyService: {{{fields}}}}}}}"


SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: envoy-infra-edge-0a1b2c3d
  namespace: system
  labels:
    gateway.envoyproxy.io/owning-gateway-name: edge
    gateway.envoyproxy.io/owning-gateway-namespace: infra
  annotations: {@type: external, @scheme: internal}
spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb}
---
""".replace("@", aws.PREFIX)


def cluster(text: str, *hidden: Kind) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def edge(picture: Cluster) -> Resource:
    (found,) = picture[kinds.GATEWAY]
    return found


def balancer(text: str, *hidden: Kind) -> Balancer:
    picture = cluster(CLASS + text, *hidden)
    found = aws.balancer(edge(picture), picture)
    assert found is not None
    return found


def test_later_places_win_and_the_field_is_the_one_to_edit() -> None:
    found = balancer(
        SERVICE
        + gateway("@scheme: internet-facing, @ssl-ports: '443'")
        + proxy("class", "system", envoy_service("annotations: {@ssl-ports: '8443'}"))
    )

    assert found.text("type") == "external"
    assert found.where("type").ref.kind == kinds.SERVICE
    assert found.text("scheme") == "internet-facing"
    assert found.where("scheme").ref.kind == kinds.GATEWAY
    assert found.text("ssl-ports") == "8443"
    assert found.where("ssl-ports").ref.kind == kinds.ENVOY_PROXY


def test_the_gateways_own_envoy_proxy_beats_that_of_the_class() -> None:
    own = ", parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: own}"
    found = balancer(
        gateway("@type: external", own)
        + proxy("class", "system", envoy_service("annotations: {@scheme: internal}"))
        + proxy("own", "infra", envoy_service("annotations: {@scheme: internet-facing}"))
    )

    assert found.text("scheme") == "internet-facing"


def test_the_service_is_predicted_where_it_is_not_seen() -> None:
    found = balancer(SERVICE + gateway("@type: nlb"), kinds.SERVICE)

    assert found.service is None
    assert not found.is_claimed
    assert [(port.number, port.name) for port in found.ports] == [
        (80, "http-80"),
        (443, "http-443"),
    ]


def test_nothing_is_said_where_nothing_speaks_of_aws() -> None:
    picture = cluster(CLASS + gateway("team: a"))
    inside = cluster(
        CLASS
        + gateway("@type: external")
        + proxy("class", "system", envoy_service("type: ClusterIP"))
    )

    assert aws.balancer(edge(picture), picture) is None
    assert aws.balancer(edge(inside), inside) is None


@pytest.mark.parametrize(
    ("annotations", "tls_ports"),
    [
        ("@ssl-ports: '443'", []),
        ("@ssl-cert: arn", [80, 443]),
        ("@ssl-cert: arn, @ssl-ports: '443'", [443]),
        ("@ssl-cert: arn, @ssl-ports: 'http-443, 8443'", [443]),
        ("@ssl-cert: arn, @ssl-ports: https", []),
        ("@ssl-cert: arn, @ssl-ports: '*'", []),
    ],
)
def test_where_the_load_balancer_ends_tls(annotations: str, tls_ports: list[int]) -> None:
    found = balancer(gateway("@type: external, " + annotations))

    assert [port.number for port in found.ports if found.ends_tls(port)] == tls_ports


def test_udp_is_never_tls() -> None:
    listeners = "{name: dns, port: 53, protocol: UDP}, {name: tcp, port: 53, protocol: TCP}"
    found = balancer(gateway("@ssl-cert: arn", listeners=listeners))

    assert {port.name: found.ends_tls(port) for port in found.ports} == {
        "udp-53": False,
        "tcp-53": True,
    }


@pytest.mark.parametrize(
    ("annotations", "ports"),
    [
        ("@proxy-protocol: '*'", [80, 443]),
        ("@proxy-protocol: 'true'", []),
        ("@proxy-protocol-per-target-group: '443, 8443'", [443]),
        ("@target-group-attributes: 'a=b, proxy_protocol_v2.enabled=true'", [80, 443]),
        ("@target-group-attributes: proxy_protocol_v2.enabled=false", []),
    ],
)
def test_where_the_load_balancer_sends_a_proxy_header(annotations: str, ports: list[int]) -> None:
    found = balancer(gateway(annotations))

    assert [port.number for port in found.ports if found.sends_proxy_protocol(port)] == ports


def test_an_annotation_goes_where_it_counts_and_where_there_is_room() -> None:
    full = ", ".join(f"k{i}: v" for i in range(15))
    merged = proxy("class", "system", "mergeGateways: true, " + envoy_service("type: LoadBalancer"))

    change = balancer(gateway("@type: external")).annotated("scheme", "internal")
    assert change is not None
    assert change.ref.kind == kinds.GATEWAY

    assert balancer(gateway(f"@type: external, {full}")).annotated("scheme", "internal") is None

    change = balancer(gateway("@type: external") + merged).annotated("scheme", "internal")
    assert change is not None
    assert change.ref.kind == kinds.ENVOY_PROXY


def test_a_listener_policy_replaces_that_of_the_gateway() -> None:
    def policy(name: str, section: str, body: str) -> str:
        return f"""
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: {name}, namespace: infra}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge{section}}}]
  {body}
---
"""

    picture = cluster(
        CLASS
        + gateway("@type: external")
        + policy("whole", "", "proxyProtocol: {optional: true}")
        + policy("part", ", sectionName: https", "enableProxyProtocol: true")
    )
    found = aws.balancer(edge(picture), picture)
    assert found is not None

    in_force = {
        one.name: envoy_gateway.client_policy(one, edge(picture), picture)
        for port in found.ports
        for one in port.listeners
    }

    names = {name: policy.name for name, policy in in_force.items() if policy is not None}
    assert names == {"http": "whole", "https": "part"}
    whole, part = in_force["http"], in_force["https"]
    assert whole is not None
    assert part is not None
    assert envoy_gateway.reads_proxy_protocol(whole)
    assert not envoy_gateway.demands_proxy_protocol(whole)
    assert envoy_gateway.demands_proxy_protocol(part)


def test_merged_gateways_share_ports_and_service() -> None:
    other = gateway("team: a", listeners="{name: more, port: 8443, protocol: HTTP}").replace(
        "name: edge", "name: other"
    )
    picture = cluster(
        CLASS
        + gateway("@type: external")
        + other
        + proxy("class", "system", "mergeGateways: true")
        + SERVICE.replace(
            "gateway.envoyproxy.io/owning-gateway-name: edge",
            "gateway.envoyproxy.io/owning-gatewayclass: eg",
        )
    )
    first = next(g for g in picture[kinds.GATEWAY] if g.name == "edge")

    found = aws.balancer(first, picture)

    assert found is not None
    assert found.service is not None
    assert [port.number for port in found.ports] == [80, 443, 8443]
