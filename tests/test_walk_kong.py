"""Kong: one router over Ingresses and Gateway API, and its certificates."""

from __future__ import annotations

import pytest
from walking import backend, hop, only, services, states, walked

from gwdoctor.entry import State
from gwdoctor.walk.hops import Way

KONG = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kong}
spec: {controller: ingress-controllers.konghq.com/kong}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: kong, annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
spec: {controllerName: konghq.com/kic-gateway-controller}
---
apiVersion: v1
kind: Service
metadata: {name: proxy, namespace: kong}
spec:
  type: LoadBalancer
  selector: {app.kubernetes.io/name: gateway}
  ports: [{name: proxy, port: 80, targetPort: 8000}, {name: tls, port: 443, targetPort: 8443}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.8}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: proxy-1, namespace: kong, labels: {app.kubernetes.io/name: gateway}}
spec:
  containers:
  - name: proxy
    image: kong:3.9.1
    env: [{name: KONG_ROUTER_FLAVOR, value: FLAVOUR}]
---
apiVersion: v1
kind: Secret
metadata: {name: one, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: [shop.example.com], days: 70}
---
apiVersion: v1
kind: Secret
metadata: {name: wide, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: ["*.example.com"], days: 70}
"""
EXPRESSIONS = KONG.replace("FLAVOUR", "expressions")
COMPATIBLE = KONG.replace("FLAVOUR", "traditional_compatible")
NOT_SEEN = KONG.replace("image: kong:3.9.1", "image: nothing:1")


def ingress(
    name: str,
    *paths: str,
    host: str = "shop.example.com",
    tls: str = "",
    annotations: str = "",
    created: str = "2026-01-01T00:00:00Z",
    more: str = "",
) -> str:
    entries = "\n".join(f"      - {one}" for one in paths)
    secured = f'tls: [{{hosts: ["{host}"], secretName: {tls}}}]' if tls else ""
    rules = f'rules:\n  - host: "{host}"\n    http:\n      paths:\n{entries}' if paths else ""
    return f"""---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: shop
  creationTimestamp: "{created}"
  annotations: {{{annotations}}}
spec:
  ingressClassName: kong
  {more}
  {secured}
  {rules}
"""


def path(value: str, service: str, sort: str = "Prefix") -> str:
    port = "port: {number: 80}"
    return (
        f'{{path: "{value}", pathType: {sort}, backend: {{service: {{name: {service}, {port}}}}}}}'
    )


ALL = services("web", "cart", "api", "old")


@pytest.mark.parametrize("kong", [EXPRESSIONS, COMPATIBLE], ids=["expressions", "compatible"])
def test_the_longer_path_comes_first_and_others_are_no_prefix(kong: str) -> None:
    text = (
        kong
        + ingress("a", path("/", "web"))
        + ingress("b", path("/cart", "cart"))
        + ingress("c", path("/cart", "api", "Exact"), host="other.example.com")
        + ALL
    )

    assert backend(walked(text, "http://shop.example.com/cart/1")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/carts")) == "shop/web"
    assert backend(walked(text, "http://other.example.com/cart")) == "shop/api"
    assert not walked(text, "http://other.example.com/cart/1").is_answered


def test_expressions_count_before_plain_prefixes() -> None:
    text = (
        EXPRESSIONS
        + ingress("plain", path("/api/items/long", "web", "ImplementationSpecific"))
        + ingress("regex", path("/~/api/.*", "api", "ImplementationSpecific"))
        + ALL
    )

    assert backend(walked(text, "http://shop.example.com/api/items/long")) == "shop/api"
    assert not walked(text, "http://shop.example.com/other").is_answered


def test_a_request_falls_through_to_a_wildcard_unlike_with_envoy() -> None:
    text = (
        EXPRESSIONS
        + ingress("exact", path("/cart", "cart"))
        + ingress("wide", path("/", "web"), host="*.example.com")
        + ALL
    )

    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/about")) == "shop/web"


def test_methods_and_headers_are_conditions_and_make_a_route_more_urgent() -> None:
    text = (
        EXPRESSIONS
        + ingress("all", path("/", "web"))
        + ingress("post", path("/", "cart"), annotations='konghq.com/methods: "POST,PUT"')
        + ingress("canary", path("/", "api"), annotations="konghq.com/headers.x-canary: always")
        + ALL
    )
    url = "http://shop.example.com/"

    assert backend(walked(text, url)) == "shop/web"
    assert backend(walked(text, url, method="POST")) == "shop/cart"
    assert backend(walked(text, url, headers=["X-Canary: always"])) == "shop/api"
    assert backend(walked(text, url, headers=["X-Canary: never"])) == "shop/web"


HTTP_ROUTE = """---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: kong, namespace: shop}
spec:
  gatewayClassName: kong
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: wide}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec:
  parentRefs: [{name: kong}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {value: /}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /cart}}]
    backendRefs: [{name: cart, port: 80, weight: 3}, {name: api, port: 80, weight: 1}]
"""


def test_routes_of_gateway_api_are_in_the_same_router_behind_ingresses() -> None:
    text = EXPRESSIONS + HTTP_ROUTE + ALL

    assert backend(walked(text, "http://shop.example.com/x")) == "shop/web"
    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart=75,shop/api=25"
    both = text + ingress("old", path("/", "old"))
    assert backend(walked(both, "http://shop.example.com/cart")) == "shop/old"


def test_where_the_flavour_is_not_seen_and_decides_the_hop_says_so() -> None:
    text = HTTP_ROUTE + ingress("old", path("/", "old", "ImplementationSpecific")) + ALL

    doubt = hop(only(walked(NOT_SEEN + text, "http://shop.example.com/cart")), "route").unverified
    agreed = hop(only(walked(NOT_SEEN + HTTP_ROUTE + ALL, "http://shop.example.com/")), "route")

    assert "router_flavor" in doubt
    assert not agreed.unverified
    assert not hop(
        only(walked(EXPRESSIONS + text, "http://shop.example.com/cart")), "route"
    ).unverified


def test_two_routes_of_one_priority_are_a_doubt() -> None:
    text = EXPRESSIONS + ingress("a", path("/", "web")) + ingress("b", path("/", "cart")) + ALL

    assert (
        "same priority" in hop(only(walked(text, "http://shop.example.com/")), "route").unverified
    )


def test_the_default_backend_takes_what_no_rule_does() -> None:
    default = "defaultBackend: {service: {name: old, port: {number: 80}}}"
    text = EXPRESSIONS + ingress("a", path("/cart", "cart"), more=default) + ALL

    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert backend(walked(text, "http://shop.example.com/other")) == "shop/old"
    assert backend(walked(text, "http://elsewhere.example.org/")) == "shop/old"


def test_no_route_is_told_as_kong_tells_it() -> None:
    way = only(
        walked(EXPRESSIONS + ingress("a", path("/cart", "cart")) + ALL, "http://shop.example.com/")
    )

    assert "no Route matched with those values" in hop(way, "route").says
    assert not way.answers


@pytest.mark.parametrize(
    ("status", "redirected"), [("", False), ("301", True), ("308", True), ("200", False)]
)
def test_https_only_is_a_redirect_or_426(status: str, redirected: bool) -> None:
    annotations = 'konghq.com/protocols: "https"'
    if status:
        annotations += f', konghq.com/https-redirect-status-code: "{status}"'
    text = EXPRESSIONS + ingress("a", path("/", "web"), tls="one", annotations=annotations) + ALL

    walk = walked(text, "http://shop.example.com/cart")

    way = walk.steps[0].ways[0]
    if redirected:
        assert way.redirect is not None
        assert way.redirect.location == "https://shop.example.com/cart"
        assert first_backend(walk.steps[-1].ways[0]) == "web"
    else:
        assert "426" in hop(way, "answer").says
        assert way.branches[0].hops[0].after_break


def first_backend(way: Way) -> str:
    ref = way.branches[0].hops[0].object
    return ref.name if ref is not None else ""


def test_the_certificate_is_that_of_the_name_of_an_ingress_before_a_gateway() -> None:
    text = EXPRESSIONS + HTTP_ROUTE + ALL

    def shown(text: str) -> tuple[str, State]:
        found = hop(only(walked(text, "https://shop.example.com/")), "certificate")
        return (found.object.name if found.object else "", found.state)

    assert shown(text) == ("wide", State.OK)
    assert shown(text + ingress("a", path("/x", "web"), tls="one")) == ("one", State.OK)
    wide = ingress("w", path("/x", "web"), tls="wide", host="*.example.com")
    assert shown(text + ingress("a", path("/x", "web"), tls="one") + wide) == ("one", State.OK)
    assert shown(text + ingress("a", path("/x", "web"), tls="lost")) == ("lost", State.BROKEN)
    none = EXPRESSIONS + ingress("a", path("/", "web")) + ALL
    assert shown(none) == ("", State.UNSEEN)


def test_the_protocol_is_that_of_the_service_and_nothing_else() -> None:
    text = EXPRESSIONS + ingress("a", path("/", "web")) + ALL
    secured = text.replace(
        "name: web, namespace: shop}",
        ("name: web, namespace: shop, annotations: {konghq.com/protocol: https}}"),
        1,
    )
    named = text.replace("ports: [{name: http, port: 80", "ports: [{name: https, port: 80")

    clear = hop(only(walked(text, "http://shop.example.com/")), "protocol")
    assert (clear.says.partition(":")[0], clear.state) == ("http", State.OK)
    assert hop(only(walked(secured, "http://shop.example.com/")), "protocol").says.startswith(
        "https:"
    )
    wrong = hop(only(walked(named, "http://shop.example.com/")), "protocol")
    assert (wrong.says.partition(":")[0], wrong.state) == ("http", State.DEGRADED)


def test_a_port_that_the_proxy_does_not_offer_breaks() -> None:
    text = EXPRESSIONS + ingress("a", path("/", "web")) + ALL

    way = only(walked(text, "http://shop.example.com:8080/"))

    assert hop(way, "gateway").state is State.BROKEN
    assert way.addresses == ("203.0.113.8",)


def test_plugins_are_named_and_missing_ones_told() -> None:
    plugin = """---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: limit, namespace: shop}
plugin: rate-limiting
"""
    text = (
        EXPRESSIONS
        + plugin
        + ingress("a", path("/", "web"), annotations='konghq.com/plugins: "limit,gone"')
        + ALL
    )

    way = only(walked(text, "http://shop.example.com/"))

    assert [(h.says.partition(" does")[0], h.state) for h in way.hops if h.what == "plugin"] == [
        ("rate-limiting", State.OK),
        ("gone", State.DEGRADED),
    ]
    assert states(way)["backend"] is State.OK
