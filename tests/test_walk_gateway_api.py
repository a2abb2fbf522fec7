"""Gateways of Gateway API: which listener and which rule take a request."""

from __future__ import annotations

import pytest
from walking import backend, cluster, hop, only, services, states, walked, with_findings

from gwdoctor import kinds
from gwdoctor.entry import State

CLASSES = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: other}
spec: {controllerName: example.com/controller}
"""
SECRETS = """
---
apiVersion: v1
kind: Secret
metadata: {name: wildcard, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: ["*.example.com"], days: 70}
"""


def gateway(*listeners: str, class_name: str = "eg", more: str = "") -> str:
    entries = "\n".join(f"  - {one}" for one in listeners or (HTTP,))
    return f"""{CLASSES}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  gatewayClassName: {class_name}
  listeners:
{entries}
{more}{SECRETS}"""


HTTP = "{name: http, port: 80, protocol: HTTP}"
TLS = "tls: {certificateRefs: [{name: wildcard}]}"
HTTPS = f"{{name: https, port: 443, protocol: HTTPS, {TLS}}}"


def rule(service: str, *matches: str, more: str = "") -> str:
    tests = f"matches: [{', '.join(matches)}], " if matches else ""
    return f"{{{tests}{more}backendRefs: [{{name: {service}, port: 80}}]}}"


def route(
    name: str,
    *rules: str,
    hosts: str = "shop.example.com",
    section: str = "",
    created: str = "2026-01-01T00:00:00Z",
    namespace: str = "shop",
) -> str:
    names = f"hostnames: [{hosts}]" if hosts else ""
    where = f", sectionName: {section}" if section else ""
    entries = "\n".join(f"  - {one}" for one in rules)
    return f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec:
  parentRefs: [{{name: edge, namespace: shop{where}}}]
  {names}
  rules:
{entries}
"""


def path(value: str, sort: str = "PathPrefix") -> str:
    return f'{{path: {{type: {sort}, value: "{value}"}}}}'


ALL = services("web", "cart", "api", "old")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://shop.example.com/cart", "shop/cart"),  # exact before the longer prefix
        ("http://shop.example.com/cart/1", "shop/api"),
        ("http://shop.example.com/carts", "shop/web"),  # no prefix of path elements
        ("http://shop.example.com/", "shop/web"),
    ],
)
def test_exact_comes_before_prefix_and_the_longer_before_the_shorter(
    url: str, expected: str
) -> None:
    rules = (rule("web"), rule("api", path("/cart")), rule("cart", path("/cart", "Exact")))

    assert backend(walked(gateway() + route("r", *rules) + ALL, url)) == expected


@pytest.mark.parametrize(
    ("class_name", "expected", "doubt"),
    [
        ("eg", "shop/api", False),  # Exact, RegularExpression, PathPrefix
        ("istio", "shop/cart", False),  # Exact, PathPrefix, RegularExpression
        ("other", "shop/cart", True),
    ],
)
def test_each_controller_has_its_own_place_for_expressions(
    class_name: str, expected: str, doubt: bool
) -> None:
    rules = (rule("cart", path("/cart")), rule("api", path("/c.*", "RegularExpression")))
    text = gateway(class_name=class_name) + route("r", *rules) + ALL

    walk = walked(text, "http://shop.example.com/cart")

    assert backend(walk) == expected
    assert bool(hop(only(walk), "route").unverified) == doubt


def test_method_then_headers_then_query_then_age_decide() -> None:
    same = '{path: {value: "/a"}'
    rules = (
        rule("web", f"{same}}}"),
        rule("cart", f"{same}, headers: [{{name: X-Canary, value: always}}]}}"),
        rule("api", f"{same}, method: POST}}"),
        rule("old", f"{same}, queryParams: [{{name: v, value: '2'}}]}}"),
    )
    text = gateway() + route("r", *rules) + ALL
    url, canary = "http://shop.example.com/a", ["x-canary: always"]

    assert backend(walked(text, url)) == "shop/web"
    assert backend(walked(text, url, headers=canary)) == "shop/cart"
    assert backend(walked(text, url, headers=["X-Canary: never"])) == "shop/web"
    assert backend(walked(text, url, headers=canary, method="POST")) == "shop/api"
    assert backend(walked(text, f"{url}?v=2")) == "shop/old"
    assert backend(walked(text, f"{url}?v=2", headers=canary)) == "shop/cart"


def test_of_equal_matches_the_older_route_wins_and_the_hop_names_the_other() -> None:
    young = route("young", rule("web", path("/a")), created="2026-02-01T00:00:00Z")
    old = route("zz-old", rule("old", path("/a")), created="2025-02-01T00:00:00Z")

    walk = walked(gateway() + young + old + ALL, "http://shop.example.com/a")

    assert backend(walk) == "shop/old"
    assert "HTTPRoute shop/young rule 0" in hop(only(walk), "route").says


def test_a_name_hides_the_rules_of_a_wildcard_and_the_hop_says_so() -> None:
    exact = route("exact", rule("cart", path("/cart")))
    wide = route("wide", rule("web"), hosts='"*.example.com"')
    text = gateway() + exact + wide + ALL

    assert backend(walked(text, "http://other.example.com/about")) == "shop/web"
    assert backend(walked(text, "http://a.b.example.com/about")) == "shop/web"
    lost = only(walked(text, "http://shop.example.com/about"))
    assert hop(lost, "route").state is State.BROKEN
    assert "HTTPRoute shop/wide would" in hop(lost, "route").says
    assert not lost.answers


def test_a_route_without_hostnames_takes_any_that_no_other_has() -> None:
    text = gateway() + route("any", rule("web"), hosts="") + route("one", rule("cart")) + ALL

    assert backend(walked(text, "http://shop.example.com/")) == "shop/cart"
    assert backend(walked(text, "http://else.example.org/")) == "shop/web"


def test_the_listener_of_the_most_specific_name_takes_the_connection() -> None:
    listeners = (
        f"{{name: any, port: 443, protocol: HTTPS, {TLS}}}",
        f'{{name: wide, port: 443, protocol: HTTPS, hostname: "*.example.com", {TLS}}}',
        f"{{name: shop, port: 443, protocol: HTTPS, hostname: shop.example.com, {TLS}}}",
        f"{{name: other-port, port: 8443, protocol: HTTPS, hostname: shop.example.com, {TLS}}}",
    )
    text = (
        gateway(*listeners)
        + route("wide", rule("web"), section="wide", hosts="")
        + route("shop", rule("cart"), section="shop")
        + route("port", rule("api"), section="other-port")
        + ALL
    )

    assert backend(walked(text, "https://shop.example.com/")) == "shop/cart"
    assert backend(walked(text, "https://x.example.com/")) == "shop/web"
    assert backend(walked(text, "https://shop.example.com:8443/")) == "shop/api"
    # the connection comes to the listener of the SNI, whatever the Host says
    other = walked(text, "https://shop.example.com/", sni="x.example.com")
    assert backend(other) == "shop/web"
    assert "wide" in hop(only(other), "listener").says


def test_a_plain_request_to_a_tls_port_breaks_and_the_walk_goes_on() -> None:
    walk = walked(gateway(HTTPS) + route("r", rule("web")) + ALL, "http://shop.example.com:443/")

    assert hop(only(walk), "listener").state is State.BROKEN
    assert backend(walk) == "shop/web"
    assert hop(only(walk), "backend").after_break


def test_certificates_are_held_against_name_and_time() -> None:
    good = gateway(HTTPS) + route("r", rule("web")) + ALL
    other_name = good.replace("*.example.com", "*.example.org")
    expired = good.replace("days: 70", "days: -3")
    absent = good.replace("certificateRefs: [{name: wildcard}]", "certificateRefs: [{name: lost}]")

    for text, said in ((other_name, "not for shop"), (expired, "ended on"), (absent, "not exist")):
        broken = hop(only(walked(text, "https://shop.example.com/")), "certificate")
        assert broken.state is State.BROKEN
        assert said in broken.says
    assert states(only(walked(good, "https://shop.example.com/")))["certificate"] is State.OK
    hidden = walked(good, "https://shop.example.com/", hidden=[kinds.SECRET])
    assert hop(only(hidden), "certificate").state is State.UNSEEN


def test_backends_share_by_weight_and_those_of_weight_0_are_left_out() -> None:
    refs = "{name: web, port: 80, weight: 90}, {name: cart, port: 80, weight: 10}"
    rules = f"{{backendRefs: [{refs}, {{name: old, port: 80, weight: 0}}]}}"

    assert backend(walked(gateway() + route("r", rules) + ALL, "http://shop.example.com/")) == (
        "shop/web=90,shop/cart=10"
    )


@pytest.mark.parametrize(
    ("rules", "what", "said"),
    [
        ("{backendRefs: [{name: lost, port: 80}]}", "backend", "does not exist"),
        ("{backendRefs: [{name: web, port: 81}]}", "backend", "has no port 81"),
        ("{backendRefs: [{name: web, namespace: far, port: 80}]}", "grant", "no ReferenceGrant"),
        ("{matches: [{path: {value: /}}]}", "backend", "no backend"),
        ("{backendRefs: [{name: web, port: 80, weight: 0}]}", "backend", "weights are 0"),
    ],
)
def test_what_a_rule_leads_to_is_looked_at(rules: str, what: str, said: str) -> None:
    way = only(walked(gateway() + route("r", rules) + ALL, "http://shop.example.com/"))

    assert hop(way, what).state is State.BROKEN
    assert said in hop(way, what).says


def test_the_endpoints_of_the_port_count() -> None:
    text = gateway() + route("r", rule("web")) + ALL
    ready = only(walked(text, "http://shop.example.com/"))
    not_ready = only(
        walked(text.replace("ready: true", "ready: false"), "http://shop.example.com/")
    )
    serving = text.replace("ready: true", "ready: false, serving: true, terminating: true")
    none = only(
        walked(text.replace("service-name: web", "service-name: x"), "http://shop.example.com/")
    )

    assert hop(ready, "endpoints").says == "1 of 1 ready"
    assert hop(not_ready, "endpoints").state is State.BROKEN
    assert hop(none, "endpoints").state is State.BROKEN
    assert states(only(walked(serving, "http://shop.example.com/")))["endpoints"] is State.OK
    hidden = walked(text, "http://shop.example.com/", hidden=[kinds.ENDPOINT_SLICE])
    assert states(only(hidden))["endpoints"] is State.UNSEEN


REDIRECT = "filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]"


def test_a_redirect_is_followed_to_the_listener_that_it_leads_to() -> None:
    text = (
        gateway(HTTP, HTTPS)
        + route("redirect", f"{{{REDIRECT}}}", section="http")
        + route("app", rule("web"), section="https")
        + ALL
    )

    walk = walked(text, "http://shop.example.com/cart?x=1")

    assert [step.request.url for step in walk.steps] == [
        "http://shop.example.com/cart?x=1",
        "https://shop.example.com/cart?x=1",
    ]
    assert walk.steps[0].ways[0].redirect is not None
    assert not walk.steps[0].ways[0].redirect.loops
    assert walk.steps[1].ways[0].answers
    assert walk.state is State.OK


def test_a_redirect_that_leads_back_is_a_loop() -> None:
    text = gateway(HTTP, HTTPS) + route("redirect", f"{{{REDIRECT}}}") + ALL

    walk = walked(text, "http://shop.example.com/")

    first, second = (step.ways[0].redirect for step in walk.steps)
    assert first is not None
    assert second is not None
    assert (first.loops, second.loops) == (False, True)
    assert "ERR_TOO_MANY_REDIRECTS" in walk.steps[1].ways[0].hops[-1].says
    assert walk.state is State.BROKEN


def test_a_client_stays_with_the_entry_that_redirects_it() -> None:
    """The other Gateway sends https back to http; who came by this one never gets there."""
    back = "filters: [{type: RequestRedirect, requestRedirect: {scheme: http}}]"
    other = f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: other, namespace: shop}}
spec:
  gatewayClassName: eg
  listeners:
  - {HTTPS}
"""
    text = (
        gateway(HTTP, HTTPS)
        + other
        + route("redirect", f"{{{REDIRECT}}}", section="http")
        + route("app", rule("web"), section="https")
        + route("back", f"{{{back}}}").replace("name: edge", "name: other")
        + ALL
    )

    walk = walked(text, "http://shop.example.com/")

    (first,) = walk.steps[0].ways
    assert first.redirect is not None
    assert not first.redirect.loops
    assert {way.name for way in walk.steps[1].ways} == {"Gateway shop/edge", "Gateway shop/other"}


def test_two_redirects_to_each_other_are_a_loop() -> None:
    def to(host: str) -> str:
        return f"{{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: {host}}}}}]}}"

    text = (
        gateway()
        + route("a", to("b.example.com"), hosts="a.example.com")
        + route("b", to("a.example.com"), hosts="b.example.com")
    )

    walk = walked(text, "http://a.example.com/")

    assert len(walk.steps) == 2
    assert all(s.ways[0].redirect is not None and s.ways[0].redirect.loops for s in walk.steps)


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        ("{hostname: other.example.com}", "http://other.example.com/cart/1"),
        ("{port: 8080}", "http://shop.example.com:8080/cart/1"),
        ("{scheme: https, hostname: 203.0.113.7}", "https://203.0.113.7/cart/1"),
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: '/new?x=1'}}",
            "http://shop.example.com/new?x=1",
        ),
        ("{scheme: https}", "https://shop.example.com/cart/1"),
        ("{scheme: https, port: 8443}", "https://shop.example.com:8443/cart/1"),
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: /new}}",
            "http://shop.example.com/new",
        ),
        (
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /basket}}",
            "http://shop.example.com/basket/1",
        ),
        (
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}",
            "http://shop.example.com/1",
        ),
    ],
)
def test_where_a_redirect_leads(redirect: str, location: str) -> None:
    rules = f"{{matches: [{path('/cart')}], filters: [{{type: RequestRedirect, requestRedirect: {redirect}}}]}}"

    walk = walked(gateway() + route("r", rules), "http://shop.example.com/cart/1")

    found = only(walk).redirect
    assert found is not None
    assert found.location == location
    assert found.to is not None
    assert not found.to.sni.startswith("203.")  # no client sends an address as server name


def test_endless_redirects_end() -> None:
    rules = (
        "{filters: [{type: RequestRedirect, requestRedirect: {path: "
        "{type: ReplacePrefixMatch, replacePrefixMatch: /a}}}]}"
    )

    walk = walked(gateway() + route("r", rules), "http://shop.example.com/")

    assert len(walk.steps) == 10
    assert walk.state is State.BROKEN


def test_tls_is_passed_through_by_server_name() -> None:
    listener = "{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}"
    routes = """---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: db, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [db.example.com]
  rules: [{backendRefs: [{name: web, port: 80}]}]
"""
    text = gateway(listener) + routes + ALL

    found = walked(text, "https://db.example.com/")
    lost = walked(text, "https://other.example.com/")

    assert backend(found) == "shop/web"
    assert "certificate" not in states(only(found))
    assert not lost.is_answered
    assert lost.state is State.BROKEN


def test_grpc_calls_are_routed_by_service_and_method() -> None:
    routes = """---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{method: {service: shop.Cart}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{method: {service: shop.Cart, method: Add}}]
    backendRefs: [{name: cart, port: 80}]
"""
    text = gateway() + routes + ALL

    assert (
        backend(walked(text, "http://shop.example.com/shop.Cart/Add", method="POST")) == "shop/cart"
    )
    assert (
        backend(walked(text, "http://shop.example.com/shop.Cart/Get", method="POST")) == "shop/web"
    )
    assert not walked(text, "http://shop.example.com/shop.Order/Get", method="POST").is_answered


def test_all_gateways_that_answer_are_shown_and_the_address_tells_which() -> None:
    second = f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: inner, namespace: shop}}
spec: {{gatewayClassName: istio, listeners: [{HTTP}]}}
status: {{addresses: [{{type: IPAddress, value: 203.0.113.9}}]}}
"""
    both = route("r", rule("web")).replace(
        "parentRefs: [{name: edge, namespace: shop}]", "parentRefs: [{name: edge}, {name: inner}]"
    )
    text = gateway(more="status: {addresses: [{value: 203.0.113.7}]}\n") + second + both + ALL

    walk = walked(text, "http://203.0.113.9/", headers=["Host: shop.example.com"])

    first, other = walk.steps[0].ways
    assert (first.addresses, first.is_elsewhere) == (("203.0.113.9",), False)
    assert (other.addresses, other.is_elsewhere) == (("203.0.113.7",), True)


def test_a_wildcard_listener_that_routes_it_nowhere_is_no_way_in_where_another_is() -> None:
    wide = f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: wide, namespace: shop}}
spec:
  gatewayClassName: eg
  listeners:
  - {{name: https, port: 443, protocol: HTTPS, hostname: "*.example.com", {TLS}}}
"""
    text = gateway(HTTPS) + wide + route("r", rule("web")) + ALL

    assert only(walked(text, "https://shop.example.com/")).name == "Gateway shop/edge"
    nowhere = walked(gateway() + wide, "https://shop.example.com/")
    assert only(nowhere).name == "Gateway shop/wide"


def test_what_is_wrong_with_another_listener_does_not_touch_this_one() -> None:
    listeners = (
        f"{{name: a, port: 443, protocol: HTTPS, hostname: a.example.com, {TLS}}}",
        "{name: b, port: 443, protocol: HTTPS, hostname: b.example.com, "
        "tls: {certificateRefs: [{name: lost}]}}",
    )
    text = gateway(*listeners) + route("r", rule("web"), hosts="a.example.com, b.example.com") + ALL

    def found(url: str) -> set[str]:
        hops = with_findings(cluster(text), url).all_hops()
        return {finding.check for each in hops for finding in each.findings}

    assert "gateway-api/certificate-ref-missing" in found("https://b.example.com/")
    assert "gateway-api/certificate-ref-missing" not in found("https://a.example.com/")


def test_what_comes_near_is_told_with_the_reason() -> None:
    text = (
        gateway(
            HTTP, f'{{name: tls, port: 443, protocol: HTTPS, hostname: "*.example.org", {TLS}}}'
        )
        + route("section", rule("web"), section="nothing")
        + route("namespace", rule("web"), namespace="far")
        + route("alike", rule("web"), hosts="shops.example.com")
    )

    said = {near.says for near in walked(text, "http://shop.example.com/").steps[0].near}

    assert (
        "has shop.example.com and is not attached to edge: "
        + ("its sectionName or port picks no listener")
        in said
    )
    assert (
        "has shop.example.com and is not attached to edge: "
        + ("the listener takes no routes of this namespace")
        in said
    )
    assert "has shops.example.com" in said


def test_filters_on_the_pods_of_an_istio_gateway_are_on_the_way() -> None:
    pods = """---
apiVersion: v1
kind: Pod
metadata: {name: edge-istio-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: edge}}
---
apiVersion: v1
kind: Service
metadata: {name: edge-istio, namespace: shop}
spec: {selector: {gateway.networking.k8s.io/gateway-name: edge}, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.4}]}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: shop}
spec:
  workloadSelector: {labels: {gateway.networking.k8s.io/gateway-name: edge}}
  configPatches: [{applyTo: HTTP_FILTER, match: {context: GATEWAY}}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: elsewhere, namespace: shop}
spec: {workloadSelector: {labels: {app: web}}, configPatches: [{applyTo: HTTP_FILTER}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: who, namespace: shop}
spec: {action: ALLOW, targetRefs: [{kind: Gateway, name: edge}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: other, namespace: shop}
spec: {action: ALLOW, targetRefs: [{kind: Gateway, name: other}]}
"""
    text = gateway(class_name="istio") + pods + route("r", rule("web")) + ALL

    way = only(walked(text, "http://shop.example.com/"))

    named = [one.object.name for one in way.hops if one.what == "policy" and one.object is not None]
    assert named == ["patch", "who"]
    assert way.addresses == ("203.0.113.4",)


def test_what_comes_near_carries_its_findings() -> None:
    text = gateway() + route("lost", rule("web"), section="nothing") + ALL

    (near,) = with_findings(cluster(text), "http://shop.example.com/").steps[0].near

    assert {finding.check for finding in near.findings} == {"gateway-api/parent-listener-missing"}


def test_hidden_routes_are_not_taken_for_absent() -> None:
    text = gateway() + route("r", rule("web")) + ALL

    walk = walked(text, "http://shop.example.com/", hidden=[kinds.HTTP_ROUTE])

    assert not walk.is_answered
    assert walk.state is State.UNSEEN


def test_a_rule_whose_expression_cannot_be_tried_leaves_a_doubt() -> None:
    rules = (rule("web", path("/cart")), rule("api", path("/(c+)+.*", "RegularExpression")))

    walk = walked(gateway() + route("r", *rules) + ALL, "http://shop.example.com/cart")

    assert backend(walk) == "shop/web"
    assert "could not be evaluated" in hop(only(walk), "route").unverified


def test_a_gateway_whose_class_is_missing_is_run_by_nobody() -> None:
    text = gateway(class_name="gone") + route("r", rule("web")) + ALL

    assert hop(only(walked(text, "http://shop.example.com/")), "gateway").state is State.BROKEN
