"""Which Pods a Gateway programs, and what istiod makes of its servers."""

from __future__ import annotations

import json
import random

import casefile
import pytest

from gwdoctor import Cluster, Kind, kinds
from gwdoctor.resolve import hosts, istio_gateways, istio_virtual_services, tls_overlap
from gwdoctor.resolve.host_index import HostIndex, suffixes
from gwdoctor.resolve.istio_gateways import Socket, Workload


def cluster(text: str, *hidden: Kind) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def gateway(
    name: str, *servers: str, day: int = 1, namespace: str = "web", selector: str = ""
) -> str:
    entries = "\n".join(f"  - {server}" for server in servers)
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "2026-01-0{day}T00:00:00Z"}}
spec:
  selector: {{{selector or "istio: ingressgateway"}}}
  servers:
{entries}
---
"""


def https(*hosts: str, number: int = 443, mode: str = "SIMPLE", credential: str = "c") -> str:
    names = ", ".join(f'"{host}"' for host in hosts)
    port = f"{{number: {number}, name: https, protocol: HTTPS}}"
    return (
        f"{{port: {port}, hosts: [{names}], tls: {{mode: {mode}, credentialName: {credential}}}}}"
    )


def plain(*hosts: str, number: int = 80, protocol: str = "HTTP", tls: str = "null") -> str:
    names = ", ".join(f'"{host}"' for host in hosts)
    return f"{{port: {{number: {number}, name: p, protocol: {protocol}}}, hosts: [{names}], tls: {tls}}}"


def pod(name: str, labels: str = "istio: ingressgateway", *, spec: str = "null") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: istio-system, labels: {{{labels}}}}}
spec: {spec}
---
"""


ROUTER = "{containers: [{name: istio-proxy, args: [proxy, router]}]}"


def only(found: tuple[Workload, ...]) -> Workload:
    assert len(found) == 1, found
    return found[0]


def sockets(text: str) -> dict[int | str, Socket]:
    return {s.port: s for s in only(istio_gateways.workloads(cluster(text))).sockets()}


def kept(socket: Socket) -> list[str]:
    return [server.owner.name for server in socket.servers]


# --- workloads ---------------------------------------------------------------------------


def test_pods_of_two_rollouts_are_one_workload() -> None:
    text = gateway("g", https("a.example.com"))
    text += pod("old", "istio: ingressgateway, pod-template-hash: a")
    text += pod("new", "istio: ingressgateway, pod-template-hash: b")

    found = only(istio_gateways.workloads(cluster(text)))

    assert [p.name for p in found.pods] == ["new", "old"]
    assert found.labels == {"istio": "ingressgateway"}
    assert found.namespace == "istio-system"


def test_pods_that_another_selector_tells_apart_are_two_workloads() -> None:
    text = gateway("g", https("a.example.com"))
    text += gateway("h", https("b.example.com"), selector="istio: ingressgateway, app: inner")
    text += pod("outer", "istio: ingressgateway, app: outer")
    text += pod("inner", "istio: ingressgateway, app: inner")

    found = istio_gateways.workloads(cluster(text))

    assert sorted(sorted(s.owner.name for s in w.servers) for w in found) == [["g"], ["g", "h"]]


def test_a_pod_that_runs_no_router_is_no_gateway() -> None:
    text = gateway("g", https("a.example.com"), selector="app: shop")
    app = "{containers: [{name: shop, args: [serve]}]}"

    assert not only(
        istio_gateways.workloads(cluster(text + pod("p", "app: shop", spec=app)))
    ).is_seen
    assert only(
        istio_gateways.workloads(cluster(text + pod("p", "app: shop", spec=ROUTER)))
    ).is_seen
    assert only(istio_gateways.workloads(cluster(text + pod("p", "app: shop")))).is_seen


def test_an_empty_selector_takes_known_routers_only() -> None:
    text = gateway("g", https("a.example.com")).replace("{istio: ingressgateway}", "{}")
    text += pod("router", "app: edge", spec=ROUTER) + pod("web", "app: web")

    found = only(istio_gateways.workloads(cluster(text)))

    assert [p.name for p in found.pods] == ["router"]


def test_without_pods_selectors_that_contain_each_other_go_together() -> None:
    text = gateway("wide", https("a.example.com"))
    text += gateway("narrow", https("b.example.com"), selector="istio: ingressgateway, app: x")
    text += gateway("other", https("c.example.com"), selector="istio: egressgateway")

    found = istio_gateways.workloads(cluster(text, kinds.POD, kinds.POD_WHOLE))

    names = sorted(sorted(s.owner.name for s in workload.servers) for workload in found)
    assert names == [["narrow", "wide"], ["other"]]
    assert not any(workload.is_seen for workload in found)


def test_another_revision_is_another_control_planes() -> None:
    text = gateway("g", https("a.example.com")).replace(
        "namespace: web,", "namespace: web, labels: {istio.io/rev: old},"
    )

    found = only(
        istio_gateways.workloads(
            cluster(text + pod("p", "istio: ingressgateway, istio.io/rev: new"))
        )
    )

    assert found.servers == ()


def test_waypoints_and_proxies_of_other_controllers_are_no_gateways() -> None:
    key = istio_gateways.GATEWAY_NAME
    text = gateway("g", https("a.example.com")).replace("{istio: ingressgateway}", "{}")
    text += pod("waypoint", f"{key}: w, gateway.istio.io/managed: istio.io-mesh-controller")
    text += pod("nginx", f"{key}: n, app: nginx")

    assert not any(w.is_seen for w in istio_gateways.workloads(cluster(text)))


# --- ports -------------------------------------------------------------------------------

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system, labels: {LABELS}}
spec:
  selector: {istio: ingressgateway}
  ports: [{port: 443, targetPort: 8443}, {port: 80, targetPort: http}, {port: 444, targetPort: x, protocol: UDP}]
---
"""


def test_a_port_is_looked_up_in_the_service_first() -> None:
    named = "{containers: [{args: [proxy, router], ports: [{name: http, containerPort: 8080}]}]}"
    text = gateway("g", https("a.example.com"), https("b.example.com", number=8443), plain("*"))
    text += gateway("h", https("c.example.com", number=444))
    text += SERVICE.replace("LABELS", "") + pod("p", spec=named)

    found = sockets(text)

    assert {port: kept(s) for port, s in found.items()} == {
        8443: ["g", "g"],
        8080: ["g"],
        444: ["h"],
    }


def test_a_service_may_opt_out_of_translation() -> None:
    label = "experimental.istio.io/disable-gateway-port-translation: 'true'"
    text = gateway("g", https("a.example.com")) + SERVICE.replace("LABELS", label) + pod("p")

    assert list(sockets(text)) == [443]


# --- merging -----------------------------------------------------------------------------


def test_the_younger_server_goes_as_a_whole() -> None:
    text = gateway("young", https("a.example.com", "b.example.com"), day=2)
    text += gateway("old", https("a.example.com")) + pod("p")

    socket = sockets(text)[443]

    assert kept(socket) == ["old"]
    assert [(d.server.owner.name, d.by.owner.name, d.host) for d in socket.dropped] == [
        ("young", "old", "a.example.com")
    ]


def test_a_namespace_prefix_makes_another_host() -> None:
    text = gateway("a", https("web/a.example.com")) + gateway("b", https("*/a.example.com"))
    text += gateway("c", https("./a.example.com")) + pod("p")

    socket = sockets(text)[443]

    assert kept(socket) == ["a", "b"]
    assert [d.server.owner.name for d in socket.dropped] == ["c"]


def test_plain_http_servers_are_merged_and_keep_tls_out() -> None:
    text = gateway("a", plain("*")) + gateway("b", plain("*"), https("x.example.com", number=80))

    socket = sockets(text + pod("p"))[80]

    assert kept(socket) == ["a", "b"]
    assert [(d.server.protocol, d.host) for d in socket.dropped] == [("HTTPS", "")]


def test_plain_http_may_join_tls() -> None:
    text = gateway("a", https("x.example.com", number=80)) + gateway("b", plain("*"), day=2)

    assert kept(sockets(text + pod("p"))[80]) == ["a", "b"]


def test_a_redirecting_server_has_a_tls_block_and_is_dropped_like_one() -> None:
    redirect = "{httpsRedirect: true}"
    text = gateway("a", plain("x.example.com", tls=redirect))
    text += gateway("b", plain("x.example.com", "y.example.com", tls=redirect), day=2)

    assert [d.host for d in sockets(text + pod("p"))[80].dropped] == ["x.example.com"]


def test_another_bind_address_is_another_socket() -> None:
    text = gateway("a", https("x.example.com"))
    text += gateway("b", https("x.example.com").replace("{port", "{bind: 10.0.0.1, port", 1))

    workload = only(istio_gateways.workloads(cluster(text + pod("p"))))

    assert not any(socket.dropped for socket in workload.sockets())


# --- credentials -------------------------------------------------------------------------


def test_credentials_are_looked_up_where_the_pods_are() -> None:
    text = gateway(
        "g",
        https("web/a.example.com", credential="plain"),
        https("b.example.com", credential="kubernetes://scheme"),
        https("c.example.com", credential="kubernetes://web/elsewhere"),
        https("d.example.com", credential="builtin://"),
        https("e.example.com", mode="PASSTHROUGH"),
    )

    uses = list(istio_gateways.credentials(cluster(text + pod("p"))))

    assert [(u.namespace, u.name, u.hosts) for u in uses] == [
        ("istio-system", "plain", ("a.example.com",)),
        ("istio-system", "scheme", ("b.example.com",)),
    ]
    assert not list(istio_gateways.credentials(cluster(text, kinds.POD, kinds.POD_WHOLE)))


# --- routes ------------------------------------------------------------------------------


def virtual_service(name: str, host: str, *, namespace: str = "web", more: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{hosts: ["{host}"], gateways: [web/g], http: [{{}}]{more}}}
---
"""


def routed(text: str) -> list[list[tuple[str, str]]]:
    seen = cluster(text + pod("p"))
    workload = only(istio_gateways.workloads(seen))
    return [
        sorted(
            (r.host, r.route.name)
            for r in istio_virtual_services.routed(server, workload.namespace, seen)
        )
        for server in workload.servers
    ]


def test_a_server_routes_the_narrower_of_its_host_and_the_virtual_services() -> None:
    text = gateway("g", https("*.example.com"), https("a.example.com"))
    text += virtual_service("all", "*") + virtual_service("a", "a.example.com")
    text += virtual_service("b", "B.example.com") + virtual_service("c", "example.com")

    assert routed(text) == [
        [("*.example.com", "all"), ("a.example.com", "a"), ("b.example.com", "b")],
        [("a.example.com", "a"), ("a.example.com", "all")],
    ]


def test_a_prefix_export_or_section_keeps_a_virtual_service_out() -> None:
    text = gateway("g", https("shop/a.example.com"))
    text += virtual_service("prefix", "a.example.com")
    text += virtual_service("private", "a.example.com", namespace="shop", more=", exportTo: [.]")
    text += virtual_service(
        "right", "a.example.com", namespace="shop", more=", exportTo: [istio-system]"
    )
    text += virtual_service("tls", "a.example.com", namespace="shop").replace("http:", "tls:")

    assert routed(text) == [[("a.example.com", "right")]]


def test_gateway_references_are_read_as_istiod_reads_them() -> None:
    read = {
        text: istio_virtual_services.gateway_name(text, "web")
        for text in (
            "mesh",
            "g",
            "infra/g",
            "./g",
            "g.infra",
            "g.infra.svc.cluster.local",
            "infra/my.gw",
        )
    }

    assert read == {
        "mesh": None,
        "g": ("web", "g"),
        "infra/g": ("infra", "g"),
        "./g": ("web", "g"),
        "g.infra": ("infra", "g"),
        "g.infra.svc.cluster.local": ("infra", "g"),
        "infra/my.gw": ("infra", "my.gw"),
    }


# --- the index ---------------------------------------------------------------------------


def test_wildcards_above_a_name_come_most_specific_first() -> None:
    assert list(suffixes("a.b.c")) == ["*.b.c", "*.c", "*"]
    assert list(suffixes("*.b.c")) == ["*.c", "*"]
    assert list(suffixes("localhost")) == ["*"]
    assert list(suffixes("*")) == []


def test_the_index_finds_what_comparing_each_with_each_finds() -> None:
    patterns = ["*", "*.c", "*.b.c", "a.b.c", "b.c", "x.b.c", "c", "*.d", "*.a.b.c", "q.a.b.c"]
    index = HostIndex[str]()
    for pattern in patterns:
        index.add(pattern, pattern)

    for wanted in [*patterns, "other.c", "*.other"]:
        by_pairs = {pattern for pattern in patterns if hosts.overlap(pattern, wanted)}
        assert set(index.overlapping(wanted)) == by_pairs, wanted


def test_one_group_of_many_servers_is_one_overlap() -> None:
    servers = [https(f"h{n}.example.com") for n in range(300)]
    text = gateway("g", *servers) + pod("p")

    found = tls_overlap.found(cluster(text, kinds.SECRET))

    assert [len(overlap.servers) for overlap in found.overlaps] == [300]


def pairwise(found: Socket, sans: dict[str, list[str]]) -> set[frozenset[int]]:
    """The groups of servers by comparing each with each, straight from the rule."""
    servers = found.servers
    owners = HostIndex[int]()
    for number, server in enumerate(servers):
        for name in server.names:
            owners.add(name, number)

    def owner(name: str) -> int | None:
        best = owners.best(name)
        return None if best is None else owners.at(best)[0]

    exact = {n: owner(n) for s in servers for n in s.names if not n.startswith("*")}
    above: dict[int, set[int]] = {number: {number} for number in range(len(servers))}
    for number, server in enumerate(servers):
        for san in sans[server.field.text("tls", "credentialName")]:
            names = {name for name in exact if hosts.san_covers(san, name)} | {san}
            for name in names:
                other = exact.get(name, owner(name))
                if other is not None and other != number and "*" not in servers[other].names:
                    joined = above[number] | above[other]
                    above |= dict.fromkeys(joined, joined)
    return {frozenset(group) for group in above.values() if len(group) > 1}


@pytest.mark.slow
def test_groups_are_those_that_comparing_each_with_each_finds() -> None:
    """No VirtualService is bound, so that no server routes a name of another."""
    pick = random.Random(2)
    pool = ["a.x.io", "b.x.io", "c.y.x.io", "d.y.x.io", "x.io", "*.x.io", "*.y.x.io", "z.io"]
    several = 0
    for _ in range(300):
        text, sans = "", {}
        for number in range(pick.randint(2, 5)):
            credential = f"c{number}"
            sans[credential] = pick.sample(pool, pick.randint(1, 2))
            text += gateway(f"g{number}", https(pick.choice(pool), credential=credential))
            text += (
                "apiVersion: v1\nkind: Secret\n"
                f"metadata: {{name: {credential}, namespace: istio-system}}\n"
                f"data: !cert {{dns: {json.dumps(sans[credential])}}}\n---\n"
            )
        seen = cluster(text + pod("p"))
        socket = next(only(istio_gateways.workloads(seen)).sockets())
        order = [server.owner.name for server in socket.servers]

        groups = {
            frozenset(order.index(s.owner.name) for s in overlap.servers)
            for overlap in tls_overlap.found(seen).overlaps
        }

        assert groups == pairwise(socket, sans), text
        several += len(groups) > 0
    assert several > 100
