"""What istiod makes of Gateways, VirtualServices and EnvoyFilters, for one gateway Pod.

As pilot/pkg/networking/core/gateway.go: every HTTPS entry of `servers` becomes a filter chain of its
own, chosen by SNI, with a route table of its own; all HTTP entries of a port share one. Where istiod
would send requests to a backend, Envoy answers 200 with the name of the VirtualService. Whatever is
not known here is refused, so that no test passes because something was left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from behaviour.real_envoy import ANY_PORT, ROUTER, TYPES, Config, connection_manager

Manifest = dict[str, Any]

_MANAGER = "envoy.filters.network.http_connection_manager"


def envoy_config(objects: Sequence[Manifest], folder: Path) -> Config:
    """The configuration of the Pod that the Gateways select; a listener is named as its port."""
    gateways = _of(objects, "Gateway")
    pod = _the_pod(objects, gateways)
    filters = _http_filters(objects, pod)
    chains: dict[int, list[Config]] = {}
    plain: dict[int, list[Manifest]] = {}
    for gateway in gateways:
        for server in gateway["spec"]["servers"]:
            number, protocol = server["port"]["number"], server["port"]["protocol"]
            hosts = list(_virtual_hosts(objects, gateway, server))
            if protocol == "HTTP":
                plain.setdefault(number, []).extend(hosts)
            elif protocol == "HTTPS":
                meta = gateway["metadata"]
                name = f"https.{number}.{server['port']['name']}.{meta['name']}.{meta['namespace']}"
                chain = {
                    "filter_chain_match": {"server_names": [host for _, host in _hosts(server)]},
                    "transport_socket": _transport_socket(objects, pod, server["tls"]),
                    "filters": [_manager(name, hosts, filters, folder)],
                }
                chains.setdefault(number, []).append(chain)
            else:
                raise ValueError(f"a server of protocol {protocol}")
    for number, hosts in plain.items():
        manager = _manager(f"http.{number}", hosts, filters, folder)
        chains.setdefault(number, []).append({"filters": [manager]})
    listeners = [_listener(number, found) for number, found in chains.items()]
    return {"static_resources": {"listeners": listeners}}


def _listener(number: int, chains: list[Config]) -> Config:
    inspector = f"{TYPES}.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "name": str(number),
        "address": ANY_PORT,
        "listener_filters": [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": {"@type": inspector},
            }
        ],
        "filter_chains": chains,
    }


def _manager(name: str, hosts: list[Manifest], filters: list[Config], folder: Path) -> Config:
    routes = {
        "name": name,
        "virtual_hosts": hosts,
        "ignore_port_in_host_matching": True,
    }
    return connection_manager(name, folder, route_config=routes, http_filters=filters)


def _virtual_hosts(
    objects: Iterable[Manifest], gateway: Manifest, server: Manifest
) -> Iterator[Config]:
    """The hosts of the VirtualServices that are bound to this Gateway and served by this entry."""
    home = gateway["metadata"]["namespace"]
    for route in _of(objects, "VirtualService"):
        namespace, name = route["metadata"]["namespace"], route["metadata"]["name"]
        bound = {
            reference if "/" in reference else f"{namespace}/{reference}"
            for reference in route["spec"]["gateways"]
        }
        if f"{home}/{gateway['metadata']['name']}" not in bound:
            continue
        admitted = {
            host
            for scope, host in _hosts(server)
            if scope in ("*", namespace) or (scope == "." and home == namespace)
        }
        for host in admitted.intersection(route["spec"]["hosts"]):
            answer = {"status": 200, "body": {"inline_string": f"{namespace}/{name}"}}
            yield {
                "name": host,
                "domains": [host],
                "routes": [{"match": {"prefix": "/"}, "direct_response": answer}],
            }


def _hosts(server: Manifest) -> Iterator[tuple[str, str]]:
    """The hosts of an entry, and the namespace whose VirtualServices it admits for each."""
    for written in server["hosts"]:
        scope, _, host = written.rpartition("/")
        if "*" in host:
            raise ValueError(f"a server for {host}")
        yield scope or "*", host


def _transport_socket(objects: Iterable[Manifest], pod: Manifest, tls: Manifest) -> Config:
    """TLS as SIMPLE and MUTUAL have it; the Secret lies in the namespace of the Pod."""
    namespace = pod["metadata"]["namespace"]
    secret = next(
        each["data"]
        for each in _of(objects, "Secret")
        if each["metadata"] == {"name": tls["credentialName"], "namespace": namespace}
    )
    certificate = {
        "certificate_chain": _inline(secret["tls.crt"]),
        "private_key": _inline(secret["tls.key"]),
    }
    common: Config = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]}
    context: Config = {
        "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": common,
    }
    if tls["mode"] == "MUTUAL":
        common["validation_context"] = {"trusted_ca": _inline(secret["ca.crt"])}
        context["require_client_certificate"] = True
    elif tls["mode"] != "SIMPLE":
        raise ValueError(f"a server of TLS mode {tls['mode']}")
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _inline(data: str) -> Config:
    return {"inline_string": base64.b64decode(data).decode()}


def _http_filters(objects: Iterable[Manifest], pod: Manifest) -> list[Config]:
    """The router, and before it what EnvoyFilters put there, word for word."""
    filters = [ROUTER]
    for envoy_filter in sorted(
        _of(objects, "EnvoyFilter"), key=lambda each: each["spec"].get("priority", 0)
    ):
        spec = envoy_filter["spec"]
        selector = spec.get("workloadSelector", {}).get("labels", {})
        if envoy_filter["metadata"]["namespace"] != pod["metadata"]["namespace"]:
            raise ValueError("an EnvoyFilter in another namespace than the gateway Pod")
        if not selector.items() <= pod["metadata"]["labels"].items():
            continue
        for patch in spec["configPatches"]:
            before = _place(patch)
            filters.insert(
                next((i for i, each in enumerate(filters) if each["name"] == before), 0),
                patch["patch"]["value"],
            )
    return filters


def _place(patch: Manifest) -> str:
    """Before which filter a patch is put; without one, istiod puts it first."""
    match = patch["match"]["listener"]["filterChain"]["filter"]
    before = match.get("subFilter", {}).get("name", "")
    assumed = {
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": {
                "filterChain": {
                    "filter": {
                        "name": _MANAGER,
                        **({"subFilter": {"name": before}} if before else {}),
                    }
                }
            },
        },
        "patch": {"operation": "INSERT_BEFORE", "value": patch["patch"]["value"]},
    }
    if patch != assumed or before not in ("", ROUTER["name"]):
        raise ValueError(f"an EnvoyFilter patch of this kind: {patch}")
    return str(before)


def _the_pod(objects: Iterable[Manifest], gateways: Iterable[Manifest]) -> Manifest:
    """The one Pod that all these Gateways select."""
    selectors = [gateway["spec"]["selector"] for gateway in gateways]
    (pod,) = (
        each
        for each in _of(objects, "Pod")
        if all(s.items() <= each["metadata"].get("labels", {}).items() for s in selectors)
    )
    return pod


def _of(objects: Iterable[Manifest], kind: str) -> list[Manifest]:
    return [each for each in objects if each["kind"] == kind]
