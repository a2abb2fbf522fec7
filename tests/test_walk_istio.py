"""Istio's classic Gateways: server by port and SNI, virtual host, rules in order; and the mesh."""

from __future__ import annotations

from typing import Any

import pytest
from walking import backend, hop, only, services, states, walked

from gwdoctor import kinds
from gwdoctor.entry import State

ROUTER = """
apiVersion: v1
kind: Pod
metadata:
  name: router-1
  namespace: edge
  labels: {istio: ingressgateway}
  annotations: {inject.istio.io/templates: gateway}
spec: {containers: [{name: istio-proxy, image: "istio/proxyv2:1.30.0", args: [proxy, router]}]}
---
apiVersion: v1
kind: Service
metadata: {name: router, namespace: edge}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
status: {loadBalancer: {ingress: [{ip: 203.0.113.5}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: wildcard, namespace: edge}
type: kubernetes.io/tls
data: !cert {dns: ["*.example.com", "*.apps.example.com"], days: 70}
---
apiVersion: v1
kind: Secret
metadata: {name: shop, namespace: edge}
type: kubernetes.io/tls
data: !cert {dns: [shop.example.com], days: 70}
"""


def server(
    host: str, port: int = 443, protocol: str = "HTTPS", name: str = "s", tls: str = "wildcard"
) -> str:
    secured = (
        f"tls: {{mode: SIMPLE, credentialName: {tls}}}, " if protocol == "HTTPS" and tls else ""
    )
    return (
        f"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, {secured}"
        f'hosts: ["{host}"]}}'
    )


def gateway(*servers: str, name: str = "edge", created: str = "2026-01-01T00:00:00Z") -> str:
    entries = "\n".join(f"  - {one}" for one in servers)
    return f"""---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: edge, creationTimestamp: "{created}"}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
{entries}
"""


def virtual(
    name: str,
    *rules: str,
    hosts: str = "shop.example.com",
    gateways: str = "edge/edge",
    created: str = "2026-01-01T00:00:00Z",
    more: str = "",
) -> str:
    entries = "\n".join(f"  - {one}" for one in rules)
    bound = f"gateways: [{gateways}]" if gateways else ""
    return f"""---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop, creationTimestamp: "{created}"}}
spec:
  hosts: [{hosts}]
  {bound}
  {more}
  http:
{entries}
"""


def to(service: str, match: str = "") -> str:
    tests = f"match: [{match}], " if match else ""
    return f"{{{tests}route: [{{destination: {{host: {service}}}}}]}}"


HTTP = server("*", 80, "HTTP", "http")
ALL = services("web", "cart", "api", "old")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/cart", "shop/web"),  # the first that matches, however short
        ("/carts", "shop/web"),  # a prefix of characters
        ("/api/1", "shop/api"),
        ("/", "shop/old"),
    ],
)
def test_rules_are_tried_in_their_order_and_prefixes_are_of_characters(
    path: str, expected: str
) -> None:
    rules = (
        to("web", '{uri: {prefix: "/c"}}'),
        to("cart", '{uri: {exact: "/cart"}}'),
        to("api", '{uri: {regex: "/api/[0-9]+"}}'),
        to("old"),
    )
    text = ROUTER + gateway(HTTP) + virtual("shop", *rules) + ALL

    assert backend(walked(text, f"http://shop.example.com{path}")) == expected


def test_what_stands_behind_a_catch_all_is_never_reached() -> None:
    rules = (to("web", '{uri: {prefix: "/"}}'), to("cart", '{uri: {prefix: "/cart"}}'))
    text = ROUTER + gateway(HTTP) + virtual("shop", *rules) + ALL

    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/web"


def test_several_virtual_services_of_a_host_are_joined_oldest_first_catch_alls_last() -> None:
    text = (
        ROUTER
        + gateway(HTTP)
        + virtual("a-old", to("web"), created="2025-01-01T00:00:00Z")
        + virtual("b-new", to("cart", '{uri: {prefix: "/cart"}}'), to("api"))
        + ALL
    )

    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/x")) == "shop/web"


def test_an_exact_host_hides_the_rules_of_a_wildcard() -> None:
    text = (
        ROUTER
        + gateway(HTTP)
        + virtual("exact", to("cart", '{uri: {prefix: "/cart"}}'))
        + virtual("wide", to("web"), hosts='"*.example.com"')
        + ALL
    )

    assert backend(walked(text, "http://else.example.com/about")) == "shop/web"
    lost = only(walked(text, "http://shop.example.com/about"))
    assert hop(lost, "route").state is State.BROKEN
    assert "hidden" in hop(lost, "route").says


@pytest.mark.parametrize(
    ("match", "asked", "passes"),
    [
        ("{method: {exact: POST}}", {"method": "POST"}, True),
        ("{method: {exact: POST}}", {}, False),
        ("{headers: {x-a: {exact: '1'}}}", {"headers": ["X-A: 1"]}, True),
        ("{headers: {x-a: {exact: '1'}}}", {"headers": ["X-A: 2"]}, False),
        ("{headers: {x-a: {}}}", {"headers": ["X-A: any"]}, True),
        ("{headers: {x-a: {}}}", {}, False),
        ("{withoutHeaders: {x-a: {}}}", {}, True),
        ("{withoutHeaders: {x-a: {}}}", {"headers": ["X-A: any"]}, False),
        ("{queryParams: {v: {exact: '2'}}}", {}, False),
        ("{authority: {prefix: shop.}}", {}, True),
        ("{authority: {exact: other}}", {}, False),
        ("{scheme: {exact: https}}", {}, False),
        ("{port: 443}", {}, False),
        ("{gateways: [edge/edge]}", {}, True),
        ("{gateways: [mesh]}", {}, False),
        ("{sourceLabels: {istio: ingressgateway}}", {}, True),
        ("{sourceLabels: {app: web}}", {}, False),
        ("{uri: {exact: /CART}, ignoreUriCase: true}", {}, True),
        ("{uri: {exact: /CART}}", {}, False),
        ('{uri: {regex: "/ca"}}', {}, False),  # all of the path, not its beginning
    ],
)
def test_what_a_match_asks_for(match: str, asked: dict[str, Any], passes: bool) -> None:
    text = ROUTER + gateway(HTTP) + virtual("shop", to("cart", match), to("web")) + ALL

    walk = walked(text, "http://shop.example.com/cart", **asked)

    assert backend(walk) == ("shop/cart" if passes else "shop/web")


def test_the_server_of_the_most_specific_name_takes_the_connection() -> None:
    servers = (
        server("*", name="any"),
        server("*.example.com", name="wide"),
        server("shop.example.com", name="shop", tls="shop"),
    )
    text = ROUTER + gateway(*servers) + virtual("shop", to("cart")) + ALL

    walk = walked(text, "https://shop.example.com/")

    assert "shop, port 443" in hop(only(walk), "listener").says
    certificate = hop(only(walk), "certificate").object
    assert certificate is not None
    assert certificate.name == "shop"
    assert backend(walk) == "shop/cart"


def test_a_connection_for_another_name_finds_no_route_of_this_host() -> None:
    """Document 002: the server is chosen by SNI, and its routes are its own."""
    servers = (server("a.example.com", name="a"), server("b.example.com", name="b"))
    text = (
        ROUTER
        + gateway(*servers)
        + virtual("a", to("web"), hosts="a.example.com")
        + virtual("b", to("cart"), hosts="b.example.com")
        + ALL
    )

    assert backend(walked(text, "https://b.example.com/")) == "shop/cart"
    reused = walked(text, "https://b.example.com/", sni="a.example.com")
    assert not reused.is_answered
    assert "no VirtualService at this server has b.example.com" in (
        hop(reused.steps[0].ways[0], "route").says
    )


def test_the_number_of_a_server_is_a_port_of_the_service_before_it_is_one_of_the_pod() -> None:
    text = ROUTER + gateway(server("shop.example.com", 443)) + virtual("shop", to("web")) + ALL

    way = only(walked(text, "https://shop.example.com/"))

    assert hop(way, "gateway").says == "port 443, to 8443 of 1 Pod"
    assert way.addresses == ("203.0.113.5",)
    direct = only(walked(text, "https://shop.example.com:8443/"))
    assert "no Service of its Pods has port 8443" in hop(direct, "gateway").says


def test_a_redirecting_server_is_followed_to_https() -> None:
    plain = (
        '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}'
    )
    text = ROUTER + gateway(plain, server("shop.example.com")) + virtual("shop", to("web")) + ALL

    walk = walked(text, "http://shop.example.com/cart")

    assert [s.request.url for s in walk.steps][1:] == ["https://shop.example.com/cart"]
    assert walk.steps[1].ways[0].answers
    assert walk.state is State.OK


def test_a_route_may_redirect_rewrite_and_answer() -> None:
    rules = (
        '{match: [{uri: {prefix: "/old"}}], redirect: {uri: /new, authority: web.example.com}}',
        '{match: [{uri: {prefix: "/answer"}}], directResponse: {status: 204}}',
        '{match: [{uri: {prefix: "/a/"}}], rewrite: {uri: /b/}, route: [{destination: {host: web}}]}',
        '{match: [{uri: {prefix: "/back"}}], redirect: {uri: /back}}',
    )
    text = ROUTER + gateway(HTTP) + virtual("shop", *rules) + ALL

    old = only(walked(text, "http://shop.example.com/old/1")).redirect
    assert old is not None
    assert old.location == "http://web.example.com/new"
    answer = only(walked(text, "http://shop.example.com/answer"))
    assert answer.answers
    assert "204" in hop(answer, "answer").says
    rewritten = only(walked(text, "http://shop.example.com/a/x"))
    assert "/b/x" in hop(rewritten, "filter").says
    back = only(walked(text, "http://shop.example.com/back")).redirect
    assert back is not None
    assert back.loops


def test_a_delegate_stands_in_the_place_of_its_rule() -> None:
    root = '{match: [{uri: {prefix: "/cart"}}], delegate: {name: cart, namespace: shop}}'
    delegate = virtual("cart", to("cart"), hosts="", gateways="").replace("hosts: []", "")
    text = ROUTER + gateway(HTTP) + virtual("shop", root, to("web")) + delegate + ALL

    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/x")) == "shop/web"
    missing = text.replace("name: cart, namespace: shop}}", "name: gone, namespace: shop}}")
    assert backend(walked(missing, "http://shop.example.com/cart")) == "shop/web"


def test_tls_is_passed_through_by_the_tls_rules() -> None:
    listener = (
        "{port: {number: 443, name: tls, protocol: TLS}, hosts: ['*.example.com'], "
        "tls: {mode: PASSTHROUGH}}"
    )
    rules = virtual("db", hosts="db.example.com").replace(
        "  http:\n",
        "  tls: [{match: [{port: 443, sniHosts: [db.example.com]}], "
        "route: [{destination: {host: web, port: {number: 80}}}]}]",
    )
    text = ROUTER + gateway(listener) + rules + ALL

    assert backend(walked(text, "https://db.example.com/")) == "shop/web"
    lost = walked(text, "https://shop.example.com/")
    assert not lost.is_answered
    assert lost.state is State.BROKEN


def test_a_virtual_service_without_server_or_gateway_comes_near() -> None:
    text = (
        ROUTER
        + gateway(server("other.example.com", 80, "HTTP"))
        + virtual("shop", to("web"))
        + virtual("lost", to("web"), gateways="gone")
        + virtual("mesh", to("web"), gateways="")
        + virtual("alike", to("web"), hosts="shops.example.com")
    )

    said = {near.says for near in walked(text, "http://shop.example.com/").steps[0].near}

    assert said >= {
        "has shop.example.com, and no server of Gateway edge/edge takes that name",
        "has shop.example.com, and Gateway gone is not there",
        "has shop.example.com, for the mesh only: it names no gateway",
        "has shops.example.com",
    }


def test_hidden_virtual_services_are_not_taken_for_absent() -> None:
    text = ROUTER + gateway(HTTP) + virtual("shop", to("web")) + ALL

    walk = walked(text, "http://shop.example.com/", hidden=[kinds.VIRTUAL_SERVICE])

    assert not walk.is_answered
    assert walk.state is State.UNSEEN


STRICT = """---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
MESHED = ALL.replace("labels: {app: web}}", "labels: {app: web, security.istio.io/tlsMode: istio}}")


def rule_for_web(mode: str) -> str:
    return f"""---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web.shop.svc.cluster.local, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
"""


def test_mtls_is_what_both_sides_make_of_it() -> None:
    text = ROUTER + gateway(HTTP) + virtual("shop", to("web")) + STRICT + MESHED
    url = "http://shop.example.com/"

    assert states(only(walked(text, url)))["mtls"] is State.OK
    assert states(only(walked(text + rule_for_web("ISTIO_MUTUAL"), url)))["mtls"] is State.OK
    disabled = hop(only(walked(text + rule_for_web("DISABLE"), url)), "mtls")
    assert disabled.state is State.BROKEN
    assert "DestinationRule shop/web" in disabled.says
    permissive = text.replace("STRICT", "PERMISSIVE") + rule_for_web("DISABLE")
    assert states(only(walked(permissive, url)))["mtls"] is State.OK
    assert "mtls" not in states(only(walked(text.replace(MESHED, ALL), url)))


def test_a_service_is_walked_to_by_its_name_in_the_cluster() -> None:
    namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    split = virtual(
        "web",
        "{route: [{destination: {host: web}, weight: 80}, {destination: {host: cart}, weight: 20}]}",
        hosts="web",
        gateways="",
    )
    text = namespace + MESHED + STRICT

    assert backend(walked(text, "http://web.shop/")) == "shop/web"
    assert backend(walked(text, "http://web.shop.svc.cluster.local/")) == "shop/web"
    assert backend(walked(text + split, "http://web.shop.svc/")) == "shop/web=80,shop/cart=20"
    assert not walked(text, "http://gone.shop.svc/").is_answered
    port = hop(only(walked(text, "http://web.shop:8080/")), "backend")
    assert port.state is State.BROKEN
