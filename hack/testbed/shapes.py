"""Clusters of one awkward form each, of any size: what is compared with what is in great number."""

from __future__ import annotations

import datetime
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Manifest = dict[str, Any]
Shape = Callable[[int], Iterator[Manifest]]

THEN = "2026-01-01T00:00:00Z"
GATEWAY_API, ISTIO = "gateway.networking.k8s.io", "networking.istio.io/v1"
_HTTP = {"name": "http", "port": 8080, "protocol": "TCP"}


# --- the shapes ----------------------------------------------------------------------------


def servers_with_overlapping_certificates(n: int) -> Iterator[Manifest]:
    """One gateway workload, as many servers, one wildcard certificate for all of them."""
    yield from _istio_gateway_workload()
    yield _secret("wild", "*.example.com")
    for i in range(n):
        host = f"h{i}.example.com"
        yield _gateway(f"g{i}", [_server(0, host, "wild")])
        yield _virtual_service(f"v{i}", host, f"istio-system/g{i}")


def wildcard_against_wildcard(n: int) -> Iterator[Manifest]:
    """Servers of wildcard hosts, each pair one below the other."""
    yield from _istio_gateway_workload()
    yield _secret("wild", "*.example.com", "*.s1.example.com")
    hosts = [f"*.s{i}.example.com" if i % 2 else f"*.a.s{i + 1}.example.com" for i in range(n)]
    yield _gateway("g", [_server(i, host, "wild") for i, host in enumerate(hosts)])
    for i, host in enumerate(hosts):
        yield _virtual_service(f"v{i}", host, "istio-system/g")


def names_in_one_certificate(n: int) -> Iterator[Manifest]:
    """One certificate with as many SANs, and a server for each."""
    yield from _istio_gateway_workload()
    hosts = [f"h{i}.example.com" for i in range(n)]
    yield _secret("many", *hosts)
    yield _gateway("g", [_server(i, host, "many") for i, host in enumerate(hosts)])


def routes_on_one_gateway(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes on one Gateway, fifty host names among them."""
    yield from _edge()
    for i in range(n):
        yield _http_route(f"r{i}", f"h{i % 50}.example.com", f"/p{i}", {"name": "web", "port": 80})


def grants_for_one_namespace(n: int) -> Iterator[Manifest]:
    """As many ReferenceGrants in one namespace, none of which permits any of as many routes."""
    yield from _edge()
    for i in range(n):
        source = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": f"n{i}"}
        spec: Manifest = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
        yield _object(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", f"g{i}", spec, "other")
        backend = {"name": "web", "namespace": "other", "port": 80}
        yield _http_route(f"x{i}", f"x{i}.example.com", "/", backend)


def peer_authentications_in_one_namespace(n: int) -> Iterator[Manifest]:
    """As many policies and Pods; half of the policies select them all."""
    yield _web()
    for i in range(n):
        labels = {"app": "web"} | ({"v": str(i)} if i % 2 else {})
        mode = "STRICT" if i % 3 else "DISABLE"
        spec = {"selector": {"matchLabels": labels}, "mtls": {"mode": mode}}
        yield _object("security.istio.io/v1", "PeerAuthentication", f"p{i}", spec)
        pod = _object("v1", "Pod", f"pod{i}", {})
        pod["metadata"]["labels"] = {"app": "web", "v": str(i)}
        pod["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
        yield pod


def one_host_at_a_gateway(n: int) -> Iterator[Manifest]:
    """One host in as many VirtualServices of one Gateway."""
    yield from _istio_gateway_workload()
    yield _web()
    server = {
        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
        "hosts": ["shop.example.com"],
    }
    yield _gateway("g", [server])
    for i in range(n):
        yield _virtual_service(f"v{i}", "shop.example.com", "istio-system/g")


def one_host_in_the_mesh(n: int) -> Iterator[Manifest]:
    """One host in as many VirtualServices, each for the sidecars of its own namespace."""
    yield _web()
    for i in range(n):
        one = _virtual_service("web", "web.shop.svc.cluster.local", "mesh", f"n{i}")
        one["spec"]["exportTo"] = ["."]
        yield one


def destination_rules_for_one_host(n: int) -> Iterator[Manifest]:
    """As many DestinationRules that are merged, each with a policy and a subset."""
    yield _web()
    for i in range(n):
        subset = {"name": f"v{i}", "labels": {"v": str(i)}}
        policy = {"tls": {"mode": "ISTIO_MUTUAL"}, "connectionPool": {"tcp": {"maxConnections": i}}}
        spec = {"host": "web", "trafficPolicy": policy, "subsets": [subset]}
        yield _object(ISTIO, "DestinationRule", f"d{i}", spec)
        route = _virtual_service(f"v{i}", f"v{i}.example.com", "mesh")
        route["spec"]["http"][0]["route"][0]["destination"]["subset"] = f"v{i}"
        yield route


def listener_sets_of_few_gateways(n: int) -> Iterator[Manifest]:
    """As many ListenerSets at ten Gateways."""
    listener: Manifest = {"name": "http", "port": 80, "protocol": "HTTP"}
    for i in range(10):
        spec: Manifest = {"gatewayClassName": "eg", "listeners": [listener]}
        yield _object(f"{GATEWAY_API}/v1", "Gateway", f"edge{i}", spec)
    for i in range(n):
        spec = {
            "parentRef": {"name": f"edge{i % 10}"},
            "listeners": [{**listener, "hostname": f"h{i}.example.com"}],
        }
        yield _object(f"{GATEWAY_API}/v1", "ListenerSet", f"set{i}", spec)


def ingresses_of_one_host(n: int) -> Iterator[Manifest]:
    """As many Ingresses with a path each."""
    yield _web()
    yield _ingress_class("nginx", "k8s.io/ingress-nginx")
    for i in range(n):
        yield _ingress(f"i{i}", "shop.example.com", f"/p{i}", "web", "nginx")


def certificates_of_one_issuer(n: int) -> Iterator[Manifest]:
    """As many Certificates, two of them to a Secret."""
    yield _object("cert-manager.io/v1", "Issuer", "ca", {"selfSigned": {}})
    for i in range(n):
        yield _certificate(f"c{i}", f"s{i // 2}", f"h{i}.example.com")


def servers_with_a_certificate_each(n: int) -> Iterator[Manifest]:
    """One gateway workload, ten wildcard certificates that all cover the hosts of all servers."""
    yield from _istio_gateway_workload()
    for i in range(10):
        yield _secret(f"wild{i}", "*.example.com", f"*.team{i}.example.com")
    servers = [_server(i, f"h{i}.example.com", f"wild{i % 10}") for i in range(n)]
    yield _gateway("g", servers)
    for i in range(n):
        yield _virtual_service(f"v{i}", f"h{i}.example.com", "istio-system/g")


def listeners_with_overlapping_certificates(n: int) -> Iterator[Manifest]:
    """A Gateway of the Gateway API to every 64 listeners, one wildcard certificate for all."""
    yield _gateway_class()
    yield _secret("wild", "*.example.com", namespace="shop")
    for i in range(0, n, 64):
        tls = {"mode": "Terminate", "certificateRefs": [{"name": "wild"}]}
        listeners = [
            {"name": f"l{j}", "port": 443, "protocol": "HTTPS", "hostname": host, "tls": tls}
            for j in range(i, min(n, i + 64))
            for host in [f"h{j}.example.com"]
        ]
        spec = {"gatewayClassName": "eg", "listeners": listeners}
        yield _object(f"{GATEWAY_API}/v1", "Gateway", f"edge{i}", spec)


def services_with_one_selector(n: int) -> Iterator[Manifest]:
    """As many Services that select the same ten Pods."""
    yield from _pods(10)
    for i in range(n):
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        spec = {"selector": {"app": "web"}, "ports": ports}
        yield _object("v1", "Service", f"s{i}", spec)


def pods_of_one_service(n: int) -> Iterator[Manifest]:
    """As many Pods with a sidecar, their EndpointSlices of a hundred, one Service, strict mTLS."""
    yield _web()
    yield from _pods(n)
    for i in range(0, n, 100):
        endpoints = [
            {"addresses": [f"10.0.{j // 250}.{j % 250}"], "conditions": {"ready": True}}
            for j in range(i, min(n, i + 100))
        ]
        one = _object("discovery.k8s.io/v1", "EndpointSlice", f"web-{i}", {})
        one["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
        del one["spec"]
        yield one | {"addressType": "IPv4", "endpoints": endpoints, "ports": [_HTTP]}
    mode = {"mtls": {"mode": "STRICT"}}
    yield _object("security.istio.io/v1", "PeerAuthentication", "default", mode)


def routes_on_one_gateway_in_namespaces(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes, each in a namespace of its own, with its backend in yet another one."""
    yield from _edge()
    for i in range(n):
        name = f"n{i}"
        labels = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": labels}
        backend = {"name": "web", "namespace": "shop", "port": 80}
        yield _http_route("r", f"h{i}.example.com", "/", backend, namespace=name)


def grants_that_permit(n: int) -> Iterator[Manifest]:
    """As many routes into one namespace, each permitted by a ReferenceGrant of its own."""
    yield from _edge()
    yield _object("v1", "Service", "web", {"ports": [{"port": 80}]}, "other")
    for i in range(n):
        source = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": f"n{i}"}
        spec: Manifest = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
        yield _object(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", f"g{i}", spec, "other")
        backend = {"name": "web", "namespace": "other", "port": 80}
        yield _http_route("r", f"h{i}.example.com", "/", backend, namespace=f"n{i}")


def matches_of_one_host(n: int) -> Iterator[Manifest]:
    """HTTPRoutes of 16 rules with 64 matches each, as many matches in all, all of one host."""
    yield from _edge()
    rules = 16
    for i in range(max(1, n // (rules * 64))):
        route = _http_route(f"r{i}", "shop.example.com", "/", {"name": "web", "port": 80})
        (rule,) = route["spec"]["rules"]
        route["spec"]["rules"] = [
            rule | {"matches": [_path(f"/{i}/{j}/{k}") for k in range(64)]} for j in range(rules)
        ]
        yield route


def routes_with_the_same_match(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes, all of which take the same requests: the oldest has them all."""
    yield from _edge()
    for i in range(n):
        yield _http_route(f"r{i}", "shop.example.com", "/", {"name": "web", "port": 80})


def routes_without_a_backend(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes to Services that are not there, among as many that are."""
    yield from _edge()
    for i in range(n):
        yield _object("v1", "Service", f"web-{i:05}", {"ports": [{"port": 80}]})
        yield _http_route(f"r{i}", f"h{i}.example.com", "/", {"name": f"wbe-{i:05}", "port": 80})


def parents_that_are_missing(n: int) -> Iterator[Manifest]:
    """As many HTTPRoutes that name a Gateway which is not there, beside as many that are."""
    yield _gateway_class()
    for i in range(n):
        yield _edge_gateway(f"edge-{i:05}")
        route = _http_route(f"r{i}", f"h{i}.example.com", "/", {"name": "web", "port": 80})
        route["spec"]["parentRefs"] = [{"name": f"egde-{i:05}"}]
        yield route


def gateways_with_one_secret(n: int) -> Iterator[Manifest]:
    """As many Gateways of either kind that serve one certificate."""
    yield from _istio_gateway_workload()
    yield _gateway_class()
    yield _secret("wild", "*.example.com")
    yield _secret("wild", "*.example.com", namespace="shop")
    for i in range(n):
        yield _gateway(f"g{i}", [_server(0, f"m{i}.example.com", "wild")])
        gateway = _edge_gateway(f"edge{i}")
        gateway["spec"]["listeners"] = [
            {
                "name": "https",
                "port": 443,
                "protocol": "HTTPS",
                "hostname": f"e{i}.example.com",
                "tls": {"mode": "Terminate", "certificateRefs": [{"name": "wild"}]},
            }
        ]
        yield gateway


def policies_of_one_gateway(n: int) -> Iterator[Manifest]:
    """As many SecurityPolicies, ClientTrafficPolicies and BackendTrafficPolicies on one Gateway."""
    yield from _edge()
    target = {"group": GATEWAY_API, "kind": "Gateway", "name": "edge"}
    for i in range(n):
        for kind in ("SecurityPolicy", "ClientTrafficPolicy", "BackendTrafficPolicy"):
            spec = {"targetRefs": [target]}
            yield _object("gateway.envoyproxy.io/v1alpha1", kind, f"p{i}", spec)


def backend_tls_policies_of_one_service(n: int) -> Iterator[Manifest]:
    """As many BackendTLSPolicies on one Service, and as many routes to it."""
    yield from routes_on_one_gateway(n)
    target = {"group": "", "kind": "Service", "name": "web"}
    for i in range(n):
        validation = {"hostname": "web.example.com", "wellKnownCACertificates": "System"}
        spec = {"targetRefs": [target], "validation": validation}
        yield _object(f"{GATEWAY_API}/v1", "BackendTLSPolicy", f"p{i}", spec)


def ingresses_without_a_service(n: int) -> Iterator[Manifest]:
    """As many Ingresses of ten hosts, each with a Service and a Secret that are not there."""
    yield _ingress_class("nginx", "k8s.io/ingress-nginx")
    for i in range(n):
        yield _object("v1", "Service", f"web-{i:05}", {"ports": [{"port": 80}]})
        one = _ingress(f"i{i}", f"h{i % 10}.example.com", f"/p{i}", f"wbe-{i:05}", "nginx")
        one["spec"]["tls"] = [{"hosts": [f"h{i % 10}.example.com"], "secretName": f"t{i}"}]
        yield one


def ingresses_that_claim_one_path(n: int) -> Iterator[Manifest]:
    """As many Ingresses with the same host and path."""
    yield _web()
    yield _ingress_class("nginx", "k8s.io/ingress-nginx")
    for i in range(n):
        yield _ingress(f"i{i}", "shop.example.com", "/", "web", "nginx")


def kong_ingresses_of_one_service(n: int) -> Iterator[Manifest]:
    """As many Ingresses of Kong for one Service, with a plugin each and one for all."""
    yield _ingress_class("kong", "ingress-controllers.konghq.com/kong")
    yield _web()
    yield _kong_plugin("all")
    for i in range(n):
        yield _kong_plugin(f"p{i}")
        one = _ingress(f"i{i}", f"h{i}.example.com", "/", "web", "kong")
        one["metadata"]["annotations"] = {"konghq.com/plugins": f"all, p{i}"}
        yield one


def kong_plugins(n: int) -> Iterator[Manifest]:
    """As many KongPlugins that nothing uses, and as many Services that name one that is missing."""
    yield _ingress_class("kong", "ingress-controllers.konghq.com/kong")
    for i in range(n):
        yield _kong_plugin(f"plugin-{i:05}")
        service = _object("v1", "Service", f"s{i}", {"ports": [{"port": 80}]})
        service["metadata"]["annotations"] = {"konghq.com/plugins": f"plugni-{i:05}"}
        yield service
        yield _ingress(f"i{i}", f"h{i}.example.com", "/", f"s{i}", "kong")


def kong_consumers(n: int) -> Iterator[Manifest]:
    """As many KongConsumers with one credential each, which is not there."""
    yield _ingress_class("kong", "ingress-controllers.konghq.com/kong")
    for i in range(n):
        one = _object("configuration.konghq.com/v1", "KongConsumer", f"c{i}", {})
        del one["spec"]
        one["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "kong"}
        yield one | {"username": f"user{i}", "credentials": [f"key{i}"]}


def certificates_of_one_secret(n: int) -> Iterator[Manifest]:
    """As many Certificates that all write the same Secret."""
    yield _object("cert-manager.io/v1", "Issuer", "ca", {"selfSigned": {}})
    yield _secret("tls", "*.example.com", namespace="shop")
    for i in range(n):
        yield _certificate(f"c{i}", "tls", f"h{i}.example.com")


def requests_of_certificates(n: int) -> Iterator[Manifest]:
    """As many Certificates that are not issued, with a CertificateRequest, Order and Challenge."""
    yield _object("cert-manager.io/v1", "Issuer", "ca", {"acme": {"server": "https://a.example"}})
    not_ready = {"conditions": [{"type": "Ready", "status": "False", "reason": "Pending"}]}
    for i in range(n):
        yield _certificate(f"c{i}", f"s{i}", f"h{i}.example.com") | {"status": not_ready}
        owner: dict[str, str] = {}
        for version, kind in (
            ("cert-manager.io/v1", "CertificateRequest"),
            ("acme.cert-manager.io/v1", "Order"),
            ("acme.cert-manager.io/v1", "Challenge"),
        ):
            issuer = {"name": "ca", "kind": "Issuer"}
            one = _object(version, kind, f"c{i}-1", {"issuerRef": issuer, "dnsName": f"h{i}.x"})
            one["metadata"]["annotations"] = {"cert-manager.io/certificate-name": f"c{i}"}
            one["metadata"]["ownerReferences"] = [
                owner or {"apiVersion": version, "kind": "Certificate", "name": f"c{i}", "uid": "1"}
            ]
            owner = {"apiVersion": version, "kind": kind, "name": f"c{i}-1", "uid": "1"}
            yield one | {"status": not_ready}


def hosts_of_one_virtual_service(n: int) -> Iterator[Manifest]:
    """One VirtualService and one server with as many hosts, and as many rules."""
    yield from _istio_gateway_workload()
    yield _web()
    hosts = [f"h{i}.example.com" for i in range(n)]
    yield _gateway("g", [_server(0, "*.example.com", "none") | {"hosts": hosts}])
    one = _virtual_service("v", "", "istio-system/g")
    (rule,) = one["spec"]["http"]
    one["spec"] |= {
        "hosts": hosts,
        "http": [rule | {"match": [{"uri": {"prefix": f"/p{i}"}}]} for i in range(n)],
    }
    yield one


def virtual_services_of_wildcards(n: int) -> Iterator[Manifest]:
    """As many VirtualServices of hosts below one another, at as many servers of such hosts."""
    yield from _istio_gateway_workload()
    for i in range(n):
        host = f"*.{'a.' * (i % 20)}s{i // 20}.example.com"
        yield _gateway(f"g{i}", [_server(0, host, "none")])
        yield _virtual_service(f"v{i}", f"x{i}.{host[2:]}", f"istio-system/g{i}")


def service_entries_of_one_host(n: int) -> Iterator[Manifest]:
    """As many ServiceEntries of one host, with a port each, and DestinationRules for it."""
    for i in range(n):
        port = {"number": 1000 + i, "name": f"tcp-{i}", "protocol": "TCP"}
        spec = {"hosts": ["db.example.com"], "ports": [port], "resolution": "DNS"}
        yield _object(ISTIO, "ServiceEntry", f"e{i}", spec, f"n{i % 10}")


def destinations_that_are_unknown(n: int) -> Iterator[Manifest]:
    """As many VirtualServices to Services that are not there, among as many that are."""
    for i in range(n):
        yield _object("v1", "Service", f"web-{i:05}", {"ports": [{"port": 80}]})
        one = _virtual_service(f"v{i}", f"h{i}.example.com", "mesh")
        destination = one["spec"]["http"][0]["route"][0]["destination"]
        destination["host"] = f"wbe-{i:05}.shop.svc.cluster.local"
        yield one


def virtual_services_without_a_gateway(n: int) -> Iterator[Manifest]:
    """As many VirtualServices of Gateways that are not there, among as many that are."""
    yield from _istio_gateway_workload()
    for i in range(n):
        yield _gateway(f"gateway-{i:05}", [_server(0, f"h{i}.example.com", f"cert-{i:05}")])
        yield _virtual_service(f"v{i}", f"h{i}.example.com", f"istio-system/gatewya-{i:05}")


def sidecars_of_one_namespace(n: int) -> Iterator[Manifest]:
    """As many Sidecars, each of which lets its Pods see hosts that are not there."""
    yield _web()
    for i in range(n):
        spec = {
            "workloadSelector": {"labels": {"v": str(i)}},
            "egress": [{"hosts": [f"./gone-{i}.shop.svc.cluster.local"]}],
        }
        yield _object(ISTIO, "Sidecar", f"s{i}", spec)
    yield from _pods(n)


def envoy_filters_of_one_gateway(n: int) -> Iterator[Manifest]:
    """As many EnvoyFilters on one gateway workload that answer 421, and servers for them."""
    yield from servers_with_overlapping_certificates(n)
    lua = "function envoy_on_request(handle)\n  handle:respond({[':status'] = '421'}, '')\nend"
    value = {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "inlineCode": lua,
        },
    }
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "GATEWAY"},
        "patch": {"operation": "INSERT_BEFORE", "value": value},
    }
    for i in range(n):
        spec = {
            "workloadSelector": {"labels": {"istio": "ingressgateway"}},
            "configPatches": [patch],
        }
        yield _object(ISTIO, "EnvoyFilter", f"f{i}", spec, "istio-system")


def events_of_one_object(n: int) -> Iterator[Manifest]:
    """As many warnings about one Service, and about as many Pods."""
    yield _web()
    yield from _pods(n)
    for i in range(n):
        one = _object("v1", "Event", f"e{i}", {})
        del one["spec"]
        about = {"kind": "Service", "name": "web"} if i % 2 else {"kind": "Pod", "name": f"web{i}"}
        yield one | {
            "involvedObject": about | {"namespace": "shop", "apiVersion": "v1"},
            "type": "Warning",
            "reason": "SyncLoadBalancerFailed" if i % 2 else "BackOff",
            "message": f"warning number {i}",
            "lastTimestamp": THEN,
        }


def balancers_of_the_cloud(n: int) -> Iterator[Manifest]:
    """As many Services of type LoadBalancer at AWS, with annotations that it does not know."""
    for i in range(n):
        ports = [{"name": "https", "port": 443, "targetPort": 8080}]
        spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports}
        one = _object("v1", "Service", f"s{i}", spec)
        prefix = "service.beta.kubernetes.io/aws-load-balancer"
        one["metadata"]["annotations"] = {
            f"{prefix}-type": "external",
            f"{prefix}-ssl-cert": "arn:aws:acm:eu-west-1:1:certificate/1",
            f"{prefix}-nothing-{i}": "x",
        }
        yield one
    yield from _pods(10)


#: Each shape, and the size that a benchmark takes.
SHAPES: Mapping[str, tuple[Shape, int]] = {
    shape.__name__.replace("_", "-"): (shape, size)
    for shape, size in (
        (servers_with_overlapping_certificates, 5000),
        (wildcard_against_wildcard, 2000),
        (names_in_one_certificate, 1000),
        (routes_on_one_gateway, 10_000),
        (grants_for_one_namespace, 2000),
        (peer_authentications_in_one_namespace, 2000),
        (one_host_at_a_gateway, 3000),
        (one_host_in_the_mesh, 3000),
        (destination_rules_for_one_host, 2000),
        (listener_sets_of_few_gateways, 2000),
        (ingresses_of_one_host, 5000),
        (certificates_of_one_issuer, 5000),
        (servers_with_a_certificate_each, 2000),
        (listeners_with_overlapping_certificates, 2000),
        (services_with_one_selector, 5000),
        (pods_of_one_service, 5000),
        (routes_on_one_gateway_in_namespaces, 5000),
        (grants_that_permit, 2000),
        (matches_of_one_host, 16 * 64 * 100),
        (routes_with_the_same_match, 3000),
        (routes_without_a_backend, 3000),
        (parents_that_are_missing, 3000),
        (gateways_with_one_secret, 1000),
        (policies_of_one_gateway, 1000),
        (backend_tls_policies_of_one_service, 2000),
        (ingresses_without_a_service, 3000),
        (ingresses_that_claim_one_path, 3000),
        (kong_ingresses_of_one_service, 3000),
        (kong_plugins, 5000),
        (kong_consumers, 3000),
        (certificates_of_one_secret, 3000),
        (requests_of_certificates, 2000),
        (hosts_of_one_virtual_service, 1000),
        (virtual_services_of_wildcards, 2000),
        (service_entries_of_one_host, 2000),
        (destinations_that_are_unknown, 3000),
        (virtual_services_without_a_gateway, 3000),
        (sidecars_of_one_namespace, 2000),
        (envoy_filters_of_one_gateway, 1000),
        (events_of_one_object, 3000),
        (balancers_of_the_cloud, 3000),
    )
}


# --- their parts ---------------------------------------------------------------------------


def _object(
    version: str, kind: str, name: str, spec: Manifest, namespace: str = "shop"
) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": THEN}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _istio_gateway_workload() -> Iterator[Manifest]:
    pod = _object("v1", "Pod", "gateway", {}, "istio-system")
    pod["metadata"]["labels"] = {"istio": "ingressgateway"}
    yield pod


def _gateway(name: str, servers: list[Manifest]) -> Manifest:
    spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
    return _object(ISTIO, "Gateway", name, spec, "istio-system")


def _server(number: int, host: str, credential: str) -> Manifest:
    return {
        "port": {"number": 443, "name": f"https-{number}", "protocol": "HTTPS"},
        "hosts": [host],
        "tls": {"mode": "SIMPLE", "credentialName": credential},
    }


def _virtual_service(name: str, host: str, gateway: str, namespace: str = "shop") -> Manifest:
    destination = {"host": "web.shop.svc.cluster.local", "port": {"number": 80}}
    route = {
        "match": [{"uri": {"prefix": f"/{name}"}}],
        "route": [{"destination": destination}],
    }
    spec = {"hosts": [host], "gateways": [gateway], "http": [route]}
    return _object(ISTIO, "VirtualService", name, spec, namespace)


def _gateway_class() -> Manifest:
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "eg"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }


def _edge_gateway(name: str = "edge") -> Manifest:
    listener: Manifest = {
        "name": "http",
        "port": 80,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    spec = {"gatewayClassName": "eg", "listeners": [listener]}
    return _object(f"{GATEWAY_API}/v1", "Gateway", name, spec)


def _edge() -> Iterator[Manifest]:
    yield _gateway_class()
    yield _edge_gateway()
    yield _web()


def _http_route(
    name: str, host: str, path: str, backend: Manifest, *, namespace: str = "shop"
) -> Manifest:
    spec = {
        "parentRefs": [{"name": "edge", "namespace": "shop"}],
        "hostnames": [host],
        "rules": [{"matches": [_path(path)], "backendRefs": [backend]}],
    }
    return _object(f"{GATEWAY_API}/v1", "HTTPRoute", name, spec, namespace)


def _path(path: str) -> Manifest:
    return {"path": {"type": "PathPrefix", "value": path}}


def _ingress_class(name: str, controller: str) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    }


def _ingress(name: str, host: str, path: str, service: str, ingress_class: str) -> Manifest:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend}]
    rules = [{"host": host, "http": {"paths": paths}}]
    spec = {"ingressClassName": ingress_class, "rules": rules}
    return _object("networking.k8s.io/v1", "Ingress", name, spec)


def _kong_plugin(name: str) -> Manifest:
    one = _object("configuration.konghq.com/v1", "KongPlugin", name, {})
    del one["spec"]
    return one | {"plugin": "cors"}


def _certificate(name: str, secret: str, host: str) -> Manifest:
    spec = {
        "secretName": secret,
        "dnsNames": [host],
        "issuerRef": {"name": "ca", "kind": "Issuer"},
    }
    return _object("cert-manager.io/v1", "Certificate", name, spec)


def _pods(n: int) -> Iterator[Manifest]:
    for i in range(n):
        container = {"name": "web", "ports": [{"name": "http", "containerPort": 8080}]}
        pod = _object("v1", "Pod", f"web{i}", {"containers": [container]})
        pod["metadata"]["labels"] = {"app": "web", "v": str(i)}
        pod["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
        yield pod


def _web() -> Manifest:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
    return _object("v1", "Service", "web", spec)


def _secret(name: str, *hosts: str, namespace: str = "istio-system") -> Manifest:
    certificate, key = _pair(hosts)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": THEN},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": b64encode(certificate).decode(), "tls.key": b64encode(key).decode()},
    }


@cache
def _pair(hosts: tuple[str, ...]) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shape")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
