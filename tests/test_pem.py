"""Certificates of every sort, wherever they may stand: in Secrets, as authorities, in ConfigMaps."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from badobjects import cluster_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from test_bad_objects import assert_no_bug, assert_readable, judged

from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
HOST = "shop.example.com"


def made(
    private: Any = EC,
    names: tuple[x509.GeneralName, ...] = (x509.DNSName(HOST),),
    begin: datetime = datetime(2026, 1, 1),
    end: datetime = datetime(2036, 1, 1),
    subject: x509.Name = NAME,
    **how: Any,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(NAME)
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    plain = isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(private, None if plain else hashes.SHA256(), **how)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def spoilt(old: bytes, new: bytes, certificate: x509.Certificate | None = None) -> bytes:
    """A certificate with some bytes of its DER replaced by as many others."""
    der = (certificate or made()).public_bytes(serialization.Encoding.DER)
    assert old in der
    assert len(old) == len(new)
    body = base64.encodebytes(der.replace(old, new))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def pss() -> x509.Certificate:
    return made(RSA, rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32))


GOOD = pem(made())
KEY = EC.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
EVERY_SORT: dict[str, Callable[[], bytes]] = {
    "RSA-PSS": lambda: pem(pss()),
    "RSA": lambda: pem(made(RSA)),
    "RSA of 1024 bits": lambda: pem(made(rsa.generate_private_key(65537, 1024))),
    "DSA": lambda: pem(made(dsa.generate_private_key(2048))),
    "Ed448": lambda: pem(made(ed448.Ed448PrivateKey.generate())),
    "Ed25519": lambda: pem(made(ed25519.Ed25519PrivateKey.generate())),
    "secp256k1": lambda: pem(made(ec.generate_private_key(ec.SECP256K1()))),
    "brainpool": lambda: pem(made(ec.generate_private_key(ec.BrainpoolP256R1()))),
    "a curve that nobody knows": lambda: spoilt(
        bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    ),
    "an algorithm that nobody knows": lambda: spoilt(
        bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")
    ),
    "a negative serial number": lambda: spoilt(b"\x02\x01\x07", b"\x02\x01\x80"),
    "serial number zero": lambda: spoilt(b"\x02\x01\x07", b"\x02\x01\x00"),
    "an extension that is broken": lambda: spoilt(b"\x82\x10shop", b"\x82\x7fshop"),
    "an extension twice": lambda: spoilt(b"\x06\x03\x55\x1d\x11", b"\x06\x03\x55\x1d\x0f"),
    "a name that is no text": lambda: spoilt(b"shop.example", b"sh\xffp.exa\x00ple"),
    "version 9": lambda: spoilt(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x08"),
    "expired": lambda: pem(made(end=datetime(2026, 2, 1))),
    "not yet valid": lambda: pem(made(begin=datetime(2035, 1, 1))),
    "1950": lambda: pem(made(begin=datetime(1950, 1, 1), end=datetime(1950, 1, 2))),
    "before the epoch": lambda: pem(made(begin=datetime(1960, 1, 1), end=datetime(1969, 12, 31))),
    "year 9999": lambda: pem(made(end=datetime(9999, 12, 31, 23, 59, 59))),
    "year 0": lambda: spoilt(
        b"\x18\x0f99991231235959Z",
        b"\x18\x0f00000101000000Z",
        made(end=datetime(9999, 12, 31, 23, 59, 59)),
    ),
    "no names": lambda: pem(made(names=())),
    "IP addresses": lambda: pem(
        made(names=tuple(x509.IPAddress(ipaddress.ip_address(a)) for a in ("192.0.2.7", "::1")))
    ),
    "a name in its own script": lambda: pem(made(names=(x509.DNSName("xn--bcher-kva.example"),))),
    "other names": lambda: pem(
        made(names=(x509.RFC822Name("a@b.example"), x509.RegisteredID(NameOID.COMMON_NAME)))
    ),
    "an empty name": lambda: pem(made(names=(x509.DNSName(""), x509.DNSName("*")))),
    "a subject to fool a terminal": lambda: pem(
        made(
            subject=x509.Name(
                [x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[2J\u202e<script>,=cmd|+\u2028")]
            ),
            names=(x509.DNSName("\x1b]8;;http://x\x07::error::</script>"),),
        )
    ),
    "a thousand names": lambda: pem(
        made(names=tuple(x509.DNSName(f"h{n}.example.com") for n in range(1000)))
    ),
    "several": lambda: GOOD * 3,
    "thousands": lambda: GOOD * 1500,
    "ten megabytes": lambda: GOOD * (10_000_000 // len(GOOD)),
    "CRLF": lambda: GOOD.replace(b"\n", b"\r\n"),
    "garbage between": lambda: GOOD + b"\x00\xff garbage -----BEGIN\n" + GOOD,
    "truncated": lambda: GOOD[:200],
    "the second truncated": lambda: GOOD + GOOD[:200],
    "empty": lambda: b"",
    "a blank": lambda: b"\n",
    "DER": lambda: made().public_bytes(serialization.Encoding.DER),
    "a key in its place": lambda: KEY,
    "a key and it": lambda: KEY + GOOD,
    "base64 twice": lambda: base64.b64encode(GOOD),
    "a trusted certificate": lambda: GOOD.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
    "lines without end": lambda: GOOD.replace(b"\n", b""),
}


def objects(data: bytes, encoded: str) -> list[dict[str, Any]]:
    """It as the certificate of a Gateway, and as the authority of everything that has one."""
    api, key = "gateway.networking.k8s.io/v1", base64.b64encode(KEY).decode()

    def secret(name: str, kind: str, data: dict[str, str], **more: Any) -> dict[str, Any]:
        meta = {"name": name, "namespace": "d", **more}
        return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": meta, "data": data}

    def of(kind: str, name: str, spec: dict[str, Any], version: str = api) -> dict[str, Any]:
        meta = {"name": name, "namespace": "d"}
        return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}

    tls = {"certificateRefs": [{"name": "t"}]}
    listener = {"name": "s", "port": 443, "protocol": "HTTPS", "hostname": HOST, "tls": tls}
    target = {"targetRefs": [{"group": "", "kind": "Service", "name": "web"}]}
    refs = [{"group": "", "kind": kind, "name": "ca"} for kind in ("ConfigMap", "Secret")]
    backend = {"name": "web", "port": 443}
    rules = [{"backendRefs": [backend]}]
    text = data.decode("utf-8", "replace")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ca", "namespace": "d"},
    }
    server = {
        "port": {"number": 443, "name": "s", "protocol": "HTTPS"},
        "hosts": [HOST],
        "tls": {"mode": "MUTUAL", "credentialName": "t"},
    }
    return [
        secret("t", "kubernetes.io/tls", {"tls.crt": encoded, "tls.key": key, "ca.crt": encoded}),
        secret("ca", "Opaque", {"ca.crt": encoded, "cacert": encoded, "cert": encoded, "key": key}),
        secret(
            "kong", "Opaque", {"cert": encoded, "id": "x"}, labels={"konghq.com/ca-cert": "true"}
        ),
        {**config_map, "data": {"ca.crt": text}},
        of(
            "GatewayClass",
            "eg",
            {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        ),
        of("Gateway", "edge", {"gatewayClassName": "eg", "listeners": [listener]}),
        of("HTTPRoute", "r", {"parentRefs": [{"name": "edge"}], "rules": rules}),
        of("BackendTLSPolicy", "b", {**target, "validation": {"caCertificateRefs": refs}}),
        of("Service", "web", {"ports": [{"name": "https", "port": 443}]}, "v1"),
        of(
            "Gateway",
            "mesh",
            {"selector": {"istio": "edge"}, "servers": [server]},
            "networking.istio.io/v1",
        ),
        of(
            "Ingress",
            "i",
            {"tls": [{"hosts": [HOST], "secretName": "t"}], "rules": [{"host": HOST}]},
            "networking.k8s.io/v1",
        ),
        of("Certificate", "c", {"secretName": "t", "dnsNames": [HOST]}, "cert-manager.io/v1"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("sort", EVERY_SORT)
def test_no_certificate_breaks_a_check_or_a_format(sort: str) -> None:
    data = EVERY_SORT[sort]()

    report = judged(cluster_of(objects(data, base64.b64encode(data).decode())))

    assert_no_bug(report)
    assert_readable(report)


@pytest.mark.parametrize("encoded", ["%%%", "QUJD=QUJD", "\u00e4", "=", "A" * 100_001])
def test_no_broken_base64_breaks_a_check(encoded: str) -> None:
    report = scan(cluster_of(objects(GOOD, encoded)), tuple(catalogue().values()))

    assert_no_bug(report)
    assert {finding.check for finding in report.findings} - told(GOOD)


def test_a_sort_that_cannot_be_used_is_told() -> None:
    """Those that a server cannot start with, or that a client refuses."""
    healthy = told(GOOD)
    for sort in ("expired", "truncated", "DER", "a key in its place", "base64 twice", "1950"):
        assert told(EVERY_SORT[sort]()) - healthy, sort


def told(data: bytes) -> set[str]:
    cluster = cluster_of(objects(data, base64.b64encode(data).decode()))
    return {f.check for f in scan(cluster, tuple(catalogue().values())).findings}
