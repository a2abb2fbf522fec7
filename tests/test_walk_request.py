"""What can be asked for, and what an expression of the cluster may cost."""

from __future__ import annotations

import time

import pytest

from gwdoctor.walk import matching
from gwdoctor.walk.request import BadRequest, asked


def test_a_url_is_taken_apart() -> None:
    request = asked("https://Shop.Example.com.:8443/cart?a=1&b=%20", method="post")

    assert (request.scheme, request.host, request.port) == ("https", "shop.example.com", 8443)
    assert (request.path, request.method, request.sni) == ("/cart", "POST", "shop.example.com")
    assert request.parameters == {"a": "1", "b": " "}
    assert request.url == "https://shop.example.com:8443/cart?a=1&b=%20"


def test_a_host_alone_means_https_and_the_root() -> None:
    request = asked("shop.example.com")

    assert request.url == "https://shop.example.com/"
    assert not request.scheme_is_given
    assert asked("shop.example.com:80").scheme == "http"


def test_a_host_header_is_what_is_asked_for_and_the_url_what_is_connected_to() -> None:
    request = asked(
        "https://203.0.113.7/", headers=["Host: shop.example.com:443", "X-A: 1", "x-a: 2"]
    )

    assert (request.host, request.address, request.sni) == ("shop.example.com", "203.0.113.7", "")
    assert request.headers == {"x-a": ("1", "2")}


def test_an_address_is_not_sent_as_server_name_unless_one_is_given() -> None:
    assert asked("https://203.0.113.7/").sni == ""
    assert asked("https://[2001:db8::1]:8443/").url == "https://[2001:db8::1]:8443/"
    assert asked("https://203.0.113.7/", sni="shop.example.com").sni == "shop.example.com"
    assert asked("http://shop.example.com/").sni == ""


def test_a_name_in_other_letters_is_asked_for_as_dns_has_it() -> None:
    assert asked("https://bücher.example/").host == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("", {}, "empty"),
        ("ftp://shop.example.com/", {}, "scheme"),
        ("https://", {}, "no host"),
        ("https:///cart", {}, "no host"),
        ("https://shop example.com/", {}, "space"),
        ("https://shop.example.com/\x1b[31m", {}, "control character"),
        ("https://*.example.com/", {}, "pattern"),
        ("https://user:secret@shop.example.com/", {}, "password"),
        ("https://shop.example.com:0/", {}, "no port"),
        ("https://shop.example.com:99999/", {}, "no URL"),
        ("https://shop.example.com:port/", {}, "no URL"),
        ("https://-shop.example.com/", {}, "no host name"),
        ("https://" + "a" * 64 + ".example.com/", {}, "no host name"),
        ("https://" + "a." * 150 + "example.com/", {}, "no host name"),
        ("https://[::1/", {}, "no URL"),
        ("https://shop.example.com/", {"method": "GET POST"}, "no method"),
        ("https://shop.example.com/", {"headers": ["no colon"]}, "no header"),
        ("https://shop.example.com/", {"headers": ["a b: c"]}, "no header"),
        ("https://shop.example.com/", {"headers": ["a: b\x00"]}, "control character"),
        ("https://shop.example.com/", {"sni": "10.0.0.1"}, "address"),
        ("https://shop.example.com/", {"port": 70000}, "no port"),
    ],
)
def test_what_no_client_could_send_is_refused_in_words(
    url: str, more: dict[str, object], said: str
) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        asked(url, **more)  # type: ignore[arg-type]  # of a table

    assert "secret" not in str(refused.value)


def test_credentials_are_not_told() -> None:
    sent = ["Authorization: Bearer abc", "Cookie: s=1", "X-Api-Key: k", "X-Canary: always"]

    told = asked("https://shop.example.com/", headers=sent).told_headers

    assert told["x-canary"] == ("always",)
    assert {told[name] for name in ("authorization", "cookie", "x-api-key")} == {("(not shown)",)}


def test_a_prefix_is_one_of_path_elements() -> None:
    assert matching.under("/cart", "/cart")
    assert matching.under("/cart", "/cart/")
    assert matching.under("/cart/", "/cart/1")
    assert matching.under("/", "/anything")
    assert not matching.under("/cart", "/carts")
    assert not matching.under("/cart/", "/car")


@pytest.mark.parametrize(
    ("expression", "path", "fits"),
    [
        ("/v[0-9]+/items", "/v2/items", True),
        ("/v[0-9]+/items", "/v2/items/3", False),
        ("(?i)/CART", "/cart", True),
        ("/a(b", "/ab", None),
        (r"/\pL", "/x", None),
        ("/(a+)+b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", None),
        ("/(a|a)*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", None),
        ("/((a{1,}){2,})b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", None),
        ("/.*.*.*.*.*.*x", "/" + "a" * 200, None),
        ("/(cart|basket)/[^/]+", "/basket/7", True),
        (r"/[(+*]\(x", "/+(x", True),
    ],
)
def test_an_expression_is_tried_only_where_it_ends(
    expression: str, path: str, fits: bool | None
) -> None:
    started = time.process_time()

    assert matching.fits(expression, path) is fits

    assert time.process_time() - started < 1


def test_what_is_not_known_is_not_taken_for_no() -> None:
    assert matching.every([True, None]) is None
    assert matching.every([None, False]) is False
    assert matching.some([None, True]) is True
    assert matching.some([False, None]) is None
