"""Ingresses of controllers other than Kong's."""

from __future__ import annotations

import pytest
from walking import backend, hop, only, services, states, walked

from gwdoctor.entry import State

CLASSES = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: v1
kind: Secret
metadata: {name: wide, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: ["*.example.com"], days: 70}
"""


def ingress(
    name: str,
    *paths: tuple[str, str, str],
    host: str = "shop.example.com",
    class_name: str = "nginx",
    annotations: str = "",
    more: str = "",
) -> str:
    port = "port: {number: 80}"
    entries = "\n".join(
        f'      - {{path: "{path}", pathType: {sort}, backend: {{service: {{name: {service}, {port}}}}}}}'
        for path, sort, service in paths
    )
    named = f"ingressClassName: {class_name}" if class_name else ""
    hosted = f'host: "{host}"\n    ' if host else ""
    return f"""---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop, annotations: {{{annotations}}}}}
spec:
  {named}
  {more}
  rules:
  - {hosted}http:
      paths:
{entries}
"""


ALL = services("web", "cart", "api", "old")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/cart", "shop/api"),  # Exact before Prefix of the same length
        ("/cart/", "shop/cart"),
        ("/cart/1", "shop/cart"),
        ("/carts", "shop/web"),
        ("/", "shop/web"),
    ],
)
def test_the_longest_path_wins_and_exact_before_prefix(path: str, expected: str) -> None:
    text = (
        CLASSES
        + ingress("a", ("/", "Prefix", "web"), ("/cart", "Prefix", "cart"))
        + ingress("b", ("/cart", "Exact", "api"))
        + ALL
    )

    assert backend(walked(text, f"http://shop.example.com{path}")) == expected


def test_a_wildcard_stands_for_one_label_and_the_name_comes_first() -> None:
    text = (
        CLASSES
        + ingress("any", ("/", "Prefix", "old"), host="")
        + ingress("wide", ("/", "Prefix", "web"), host="*.example.com")
        + ingress("one", ("/cart", "Prefix", "cart"))
        + ALL
    )

    assert backend(walked(text, "http://x.example.com/")) == "shop/web"
    assert backend(walked(text, "http://a.b.example.com/")) == "shop/old"
    assert backend(walked(text, "http://shop.example.com/cart")) == "shop/cart"
    assert not walked(text, "http://shop.example.com/other").is_answered


def test_each_class_is_an_entry_of_its_own() -> None:
    text = (
        CLASSES
        + ingress("a", ("/", "Prefix", "web"))
        + ingress("b", ("/cart", "Prefix", "cart"), class_name="traefik")
        + ALL
    )

    walk = walked(text, "http://shop.example.com/cart")

    assert [way.name for way in walk.steps[0].ways] == [
        "class nginx (k8s.io/ingress-nginx)",
        "class traefik (traefik.io/ingress-controller)",
    ]


def test_the_default_backend_takes_what_no_rule_does() -> None:
    default = "defaultBackend: {service: {name: old, port: {number: 80}}}"
    text = CLASSES + ingress("a", ("/cart", "Prefix", "cart"), more=default) + ALL

    assert backend(walked(text, "http://shop.example.com/other")) == "shop/old"
    assert backend(walked(text, "http://nobody.example.org/")) == "shop/old"


def test_nginx_sends_to_https_where_there_is_a_certificate_unless_told_not_to() -> None:
    tls = "tls: [{hosts: [shop.example.com], secretName: wide}]"
    text = CLASSES + ingress("a", ("/", "Prefix", "web"), more=tls) + ALL
    stays = (
        CLASSES
        + ingress(
            "a",
            ("/", "Prefix", "web"),
            more=tls,
            annotations='nginx.ingress.kubernetes.io/ssl-redirect: "false"',
        )
        + ALL
    )

    walk = walked(text, "http://shop.example.com/cart")

    assert [s.request.url for s in walk.steps][1:] == ["https://shop.example.com/cart"]
    assert states(walk.steps[1].ways[0])["certificate"] is State.OK
    assert backend(walked(stays, "http://shop.example.com/cart")) == "shop/web"
    assert (
        backend(walked(text.replace("nginx", "traefik"), "http://shop.example.com/")) == "shop/web"
    )


def test_without_a_tls_entry_the_default_certificate_is_not_seen() -> None:
    text = CLASSES + ingress("a", ("/", "Prefix", "web")) + ALL

    assert states(only(walked(text, "https://shop.example.com/")))["certificate"] is State.UNSEEN


def test_the_protocol_of_nginx_is_its_annotation() -> None:
    text = (
        CLASSES
        + ingress(
            "a",
            ("/", "Prefix", "web"),
            annotations="nginx.ingress.kubernetes.io/backend-protocol: https",
        )
        + ALL.replace("name: http, port: 80", "name: https, port: 80")
    )

    spoken = hop(only(walked(text, "http://shop.example.com/")), "protocol")

    assert (spoken.says.partition(",")[0], spoken.state) == ("HTTPS", State.OK)


def test_a_class_that_does_not_exist_is_served_by_nobody() -> None:
    text = CLASSES + ingress("a", ("/", "Prefix", "web"), class_name="gone") + ALL

    assert hop(only(walked(text, "http://shop.example.com/")), "gateway").state is State.BROKEN


def test_an_ingress_without_class_comes_near() -> None:
    text = CLASSES + ingress("a", ("/", "Prefix", "web"), class_name="") + ALL

    walk = walked(text, "http://shop.example.com/")

    assert not walk.is_answered
    assert "names no class" in walk.steps[0].near[0].says


def test_a_rule_without_paths_takes_nothing() -> None:
    text = CLASSES + ingress("a") + ALL

    route = hop(only(walked(text, "http://shop.example.com/")), "route")

    assert route.state is State.BROKEN
    assert "no path of shop.example.com takes /" in route.says
