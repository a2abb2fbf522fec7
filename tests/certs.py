"""Certificates made on the fly, so that no PEM lies in git.

`data: !cert {dns: [shop.example.com]}` in a YAML file becomes the data of a TLS Secret.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def private_key(name: str) -> PrivateKey:
    """One key a name, for the run. `rsa1024-x` gives RSA of that size, `p224-x` that curve; all
    else is P-256.
    """
    if name.startswith("rsa"):
        bits = int(name[3:].partition("-")[0])
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return ec.generate_private_key(ec.SECP224R1() if name.startswith("p224") else ec.SECP256R1())


def key_pem(name: str) -> bytes:
    return private_key(name).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@cache
def _certificate(spec: str) -> x509.Certificate:
    given: dict[str, Any] = json.loads(spec)
    unknown = given.keys() - {
        "dns",
        "ip",
        "cn",
        "days",
        "from",
        "key",
        "issuer",
        "issuerKey",
        "ca",
        "serial",
        "now",
        "for",
        "issuerOrg",
        "eku",
    }
    if unknown:
        raise ValueError(f"!cert does not know {sorted(unknown)}")
    now = datetime.fromisoformat(given["now"])
    names = [str(name) for name in given.get("dns", [])]
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, given.get("cn", names[0] if names else "leaf"))]
    )
    key = private_key(given.get("key", "leaf"))
    issuer_name = given.get("issuer", "Test CA")
    self_signed = issuer_name == "self"
    issuer = (
        subject
        if self_signed
        else x509.Name(
            [
                x509.NameAttribute(oid, value)
                for oid, value in (
                    (NameOID.ORGANIZATION_NAME, given.get("issuerOrg")),
                    (NameOID.COMMON_NAME, issuer_name),
                )
                if value
            ]
        )
    )
    issuer_key = key if self_signed else private_key(given.get("issuerKey", f"ca-{issuer_name}"))
    end = now + timedelta(days=given.get("days", 90))
    start = now + timedelta(days=given.get("from", -1))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(given.get("serial", 4096))
        .not_valid_before(min(start, end - timedelta(days=1)))
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(ca=bool(given.get("ca", False)), path_length=None), critical=True
        )
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if given.get("ip"):
        import ipaddress

        alternatives += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in given["ip"]]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if given.get("eku"):
        usages = [getattr(ExtendedKeyUsageOID, name) for name in given["eku"]]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def certificate_pem(now: datetime = NOW, **spec: Any) -> bytes:
    """A certificate.

    dns, ip: subjectAltName entries · cn: common name (default: the first dns) · days: until
    notAfter, from `now` (negative: expired) · from: days until notBefore · key: name of its key
    · issuer: common name of the issuer, or `self` · ca: basic constraint · serial: number
    · issuerOrg: organisation of the issuer · eku: extended key usages such as CLIENT_AUTH.
    """
    spec["now"] = now.isoformat()
    return _certificate(json.dumps(spec, sort_keys=True)).public_bytes(serialization.Encoding.PEM)


def secret_data(now: datetime = NOW, **spec: Any) -> dict[str, str]:
    """`data` of a kubernetes.io/tls Secret.

    As `certificate_pem`, and: chain: further certificates (specs) after the leaf · wrongKey: name
    of a key that does not belong to the certificate · keys: names of the two data keys
    · authority: spec of what stands under `ca.crt`.
    """
    authority = spec.pop("authority", None)
    chain = spec.pop("chain", [])
    wrong = spec.pop("wrongKey", None)
    crt_name, key_name = spec.pop("keys", ["tls.crt", "tls.key"])
    pem = certificate_pem(now, **spec)
    for link in chain:
        pem += certificate_pem(now, **link)
    key = key_pem(wrong or spec.get("key", "leaf"))
    data = {crt_name: pem, key_name: key}
    if authority is not None:
        data["ca.crt"] = certificate_pem(now, **authority)
    return {name: base64.b64encode(value).decode() for name, value in data.items()}
