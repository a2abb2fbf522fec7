"""Certificates, who serves them, and cert-manager's arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import casefile
import certs
import pytest

from gwdoctor import Cluster, Resource, kinds
from gwdoctor.resolve import acme, cert_manager, certificates, credentials, hosts, kong_pods, names


def cluster(text: str, **more: object) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), **more)  # type: ignore[arg-type]


def secret(spec: str, name: str = "t", kind: str = "kubernetes.io/tls") -> Resource:
    text = f"""
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: shop}}
type: {kind}
data: !cert {spec}
"""
    return cluster(text)[kinds.SECRET][0]


CHAIN = """{dns: [a.example.com], issuer: I1, chain: [
  {cn: Root, ca: true, key: ca-Root, issuer: self},
  {cn: I2, ca: true, key: ca-I2, issuer: Root},
  {cn: I1, ca: true, key: ca-I1, issuer: I2}]}"""


def test_the_way_to_the_root_is_found_in_any_order() -> None:
    bundle = certificates.served(secret(CHAIN))
    assert bundle is not None

    way = certificates.path(bundle.certificates)

    assert [certificates.common_name(c) for c in way] == ["a.example.com", "I1", "I2", "Root"]


def test_a_loop_of_authorities_ends() -> None:
    spec = """{dns: [a.example.com], issuer: I1, chain: [
      {cn: I2, ca: true, key: ca-I2, issuer: I1}, {cn: I1, ca: true, key: ca-I1, issuer: I2}]}"""
    bundle = certificates.served(secret(spec))
    assert bundle is not None

    assert len(certificates.path(bundle.certificates)) == 3


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("www.example.com", True),
        ("WWW.Example.com", True),
        ("example.com", False),
        ("a.b.example.com", False),
        ("*.example.com", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
    ],
)
def test_what_a_wildcard_covers(host: str, covered: bool) -> None:
    leaf = certificates.leaf_of(secret('{dns: ["*.example.com"], ip: [192.0.2.7]}'))
    assert leaf is not None

    assert certificates.covers(leaf, host) is covered


def test_days_are_counted_from_the_given_clock() -> None:
    leaf = certificates.leaf_of(secret("{dns: [a], days: 5}"))
    assert leaf is not None

    assert certificates.days_left(leaf, certs.NOW) == timedelta(days=5)
    assert certificates.days_left(leaf, certs.NOW + timedelta(days=6)) == timedelta(days=-1)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=9, hours=5), "9 days"),
        (timedelta(hours=30), "30 hours"),
        (timedelta(hours=1), "1 hour"),
    ],
)
def test_spans_in_words(span: timedelta, words: str) -> None:
    assert certificates.in_days(span) == words


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "12"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert certificates.time_of(text) is None


@pytest.mark.parametrize(
    ("spec", "kind", "authority"),
    [
        ("{cn: Root, issuer: self, ca: true}", "kubernetes.io/tls", True),
        ("{cn: Root, issuer: self, ca: true, chain: [{dns: [a]}]}", "kubernetes.io/tls", False),
        ("{dns: [a.example.com], issuer: self, ca: true}", "kubernetes.io/tls", False),
        ("{dns: [a.example.com], keys: [ca.crt, note]}", "Opaque", True),
        ("{dns: [a.example.com]}", "kubernetes.io/tls", False),
    ],
)
def test_authorities_are_told_from_pairs(spec: str, kind: str, authority: bool) -> None:
    assert certificates.is_authority_only(secret(spec, kind=kind)) is authority


def test_the_organisation_of_a_name_with_a_comma() -> None:
    assert certificates.organisation("CN=Go,O=GoDaddy.com\\, Inc.,C=US") == "GoDaddy.com, Inc."
    assert certificates.organisation("CN=x") == ""


USERS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {tls: [{hosts: [a.example.com], secretName: t}, {hosts: [b.example.com]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: eg
  listeners:
  - name: a
    protocol: HTTPS
    port: 443
    hostname: c.example.com
    tls:
      certificateRefs:
      - {name: t, namespace: shop}
      - {name: own}
      - {name: t, kind: Vault, group: example.com}
  - {name: b, protocol: TLS, port: 443, tls: {mode: Passthrough, certificateRefs: [{name: own}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
"""
GRANT = """
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: infra}]
  to: [{group: "", kind: Secret, name: t}]
"""


def users(picture: Cluster) -> dict[tuple[str, str], list[tuple[str, tuple[str, ...]]]]:
    return {
        name: [(use.field.pointer, use.hosts) for use in uses]
        for name, uses in credentials.uses(picture).items()
    }


def test_who_serves_which_secret() -> None:
    listener = "/spec/listeners/0/tls/certificateRefs"

    assert users(cluster(USERS + GRANT)) == {
        ("shop", "t"): [
            ("/spec/tls/0/secretName", ("a.example.com",)),
            (f"{listener}/0/name", ("c.example.com",)),
        ],
        ("infra", "own"): [(f"{listener}/1/name", ("c.example.com",))],
    }


def test_without_a_grant_the_secret_of_another_namespace_is_not_served() -> None:
    assert len(users(cluster(USERS))["shop", "t"]) == 1


def test_grants_that_cannot_be_read_are_no_refusal() -> None:
    assert len(users(cluster(USERS, hidden=[kinds.REFERENCE_GRANT]))["shop", "t"]) == 2


def test_one_kind_of_users_that_cannot_be_read_does_not_hide_the_others() -> None:
    assert ("infra", "own") in users(cluster(USERS, hidden=[kinds.INGRESS]))


def test_the_certificates_of_one_listener_share_its_host() -> None:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: eg
  listeners:
  - {name: a, protocol: HTTPS, port: 443, hostname: c.example.com, tls: {certificateRefs: [{name: a}, {name: b}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: example.com/c}
---
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: [a.example.com]}
---
apiVersion: v1
kind: Secret
metadata: {name: b, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: [%s]}
"""
    whole, broken = cluster(text % "c.example.com"), cluster(text % "b.example.com")

    (entry,) = names.entries(whole)
    (other,) = names.entries(broken)
    missing = names.uncovered(other, broken)

    assert names.uncovered(entry, whole) is None
    assert missing is not None
    assert missing.hosts == ("c.example.com",)
    assert missing.names == ("a.example.com", "b.example.com")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("2160h0m0s", timedelta(days=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("90d", None),
        ("90", None),
        ("", None),
        ("h", None),
        ("99999999999999h", None),
    ],
)
def test_durations_as_go_reads_them(text: str, span: timedelta | None) -> None:
    assert cert_manager.duration(text) == span


@pytest.mark.parametrize(
    ("attempts", "hours"), [(1, 1), (2, 2), (4, 8), (6, 32), (7, 32), (400, 32)]
)
def test_the_next_try_waits_twice_as_long_up_to_32_hours(attempts: int, hours: int) -> None:
    picture = cluster(f"""
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: c, namespace: shop}}
spec: {{secretName: t}}
status: {{failedIssuanceAttempts: {attempts}, lastFailureTime: "2026-11-20T00:00:00Z"}}
""")

    again = cert_manager.next_try(picture[kinds.CERTIFICATE][0])

    assert again == datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hours)


def test_solvers_are_chosen_by_all_that_their_selector_says() -> None:
    picture = cluster("""
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: le, namespace: shop}
spec:
  acme:
    solvers:
    - {dns01: {a: {}}, selector: {dnsZones: [example.com]}}
    - {dns01: {b: {}}, selector: {dnsNames: [www.example.org]}}
    - {dns01: {c: {}}, selector: {dnsZones: [example.com], matchLabels: {team: web}}}
    - {http01: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: c, namespace: shop, labels: {team: api}}
spec: {secretName: t, dnsNames: ["*.example.com"], issuerRef: {name: le}}
""")
    issuer, certificate = picture[kinds.ISSUER][0], picture[kinds.CERTIFICATE][0]

    def chosen(name: str) -> list[int | str]:
        return [s.path[-1] for s in acme.solvers_for(name, certificate, issuer)]

    assert chosen("*.example.com") == [0, 3]
    assert chosen("a.b.example.com") == [0, 3]
    assert chosen("notexample.com") == [3]
    assert chosen("www.example.org") == [1, 3]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("kong/kubernetes-ingress-controller:2.12.3", (2, 12, 3)),
        ("docker.io/kong/kubernetes-ingress-controller:3.4", (3, 4, None)),
        (
            "registry.example.com:5000/kong/kubernetes-ingress-controller:v3.5.10-ubuntu@sha256:ab",
            (3, 5, 10),
        ),
        ("kong/kubernetes-ingress-controller", None),
        ("kong/kubernetes-ingress-controller@sha256:ab", None),
        ("kong/kubernetes-ingress-controller:nightly", None),
    ],
)
def test_versions_by_the_tag_of_an_image(
    image: str, version: tuple[int, int, int | None] | None
) -> None:
    picture = cluster(f"""
apiVersion: v1
kind: Pod
metadata: {{name: p, namespace: kong}}
spec: {{containers: [{{name: c, image: "{image}"}}]}}
""")

    (container,) = kong_pods.controllers(picture)

    assert container.version == version


SPELLINGS = (
    *("a.example.com", "*.example.com", "example.com", "*", "*.", "", "A.Example.com.", "*.com"),
    *("*.a.example.com", "b.a.example.com", ".example.com", "**.example.com", "*x.example.com"),
)


@pytest.mark.parametrize("host", SPELLINGS)
def test_many_names_cover_what_one_of_them_covers(host: str) -> None:
    for san in SPELLINGS:
        alone = hosts.san_covers(san, host)
        assert hosts.sans_cover((san,), host) == alone
        assert hosts.sans_cover(("other.example.org", san), host) == alone
