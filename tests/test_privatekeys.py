"""Private keys in objects that are no Secrets: cut out in every form that says what it is."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import certs
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gwdoctor import kinds, privatekeys
from gwdoctor.model import Kind, Metadata, Ref, Resource, Target
from gwdoctor.source import decode, lister, snapshot
from gwdoctor.source.batch import Batch
from gwdoctor.source.discovery import Served

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
LEAF = certs.certificate_pem(dns=["shop.example.com"]).decode()


def pem(private: Any, form: str, password: bytes = b"") -> str:
    protection: Any = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    encoded: bytes = private.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), protection
    )
    return encoded.decode()


def number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


PKCS8 = pem(RSA, "PKCS8")
PGP = PKCS8.replace("BEGIN PRIVATE KEY", "BEGIN PGP PRIVATE KEY BLOCK").replace(
    "END PRIVATE KEY", "END PGP PRIVATE KEY BLOCK"
)
SSH2 = "".join(
    f"---- {line[5:-5]} ----\n".replace("PRIVATE", "SSH2 ENCRYPTED PRIVATE")
    if line.startswith("-")
    else f"{line}\n"
    for line in PKCS8.splitlines()
)
NUMBERS = RSA.private_numbers()
JWK = {
    "kty": "RSA",
    "kid": "one",
    "n": number(NUMBERS.public_numbers.n),
    "e": "AQAB",
    "d": number(NUMBERS.d),
    "p": number(NUMBERS.p),
    "q": number(NUMBERS.q),
    "dp": number(NUMBERS.dmp1),
    "oth": [{"r": number(NUMBERS.dmq1), "d": number(NUMBERS.iqmp), "t": number(NUMBERS.d)}],
}
OCT = {"kty": "oct", "k": number(NUMBERS.q)}
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS", "d": number(NUMBERS.p)}

#: Each form of a key, and how it stands in a field.
FORMS: dict[str, Any] = {
    "PKCS 8": PKCS8,
    "PKCS 1": pem(RSA, "TraditionalOpenSSL"),
    "SEC 1": pem(EC, "TraditionalOpenSSL"),
    "encrypted": pem(RSA, "PKCS8", b"pw"),
    "encrypted as of old": pem(RSA, "TraditionalOpenSSL", b"pw"),
    "OpenSSH": pem(EC, "OpenSSH"),
    "SSH 2": SSH2,
    "PGP": PGP,
    "without its end": PKCS8[:900],
    "CRLF": PKCS8.replace("\n", "\r\n"),
    "two of them and more": f"one {LEAF}{PKCS8} two {pem(EC, 'PKCS8')} three",
    "in YAML": "key: |\n" + "".join(f"    {line}\n" for line in PKCS8.splitlines()),
    "in JSON": json.dumps({"a": PKCS8}),
    "in JSON in JSON": json.dumps({"b": json.dumps({"a": PKCS8})}),
    "base64": base64.b64encode(PKCS8.encode()).decode(),
    "base64 in lines": base64.encodebytes(PKCS8.encode()).decode(),
    "base64 in a kubeconfig": json.dumps({"k": base64.encodebytes(PKCS8.encode()).decode()}),
    "base64 of a chain and its key": base64.b64encode((LEAF + PKCS8).encode()).decode(),
    "base64 cut off": base64.b64encode(PKCS8.encode()).decode()[:1001],
    "JSON Web Key": JWK,
    "JSON Web Keys": {"keys": [JWK, OCT, OKP]},
    "JSON Web Key, as text": json.dumps(JWK, indent=1),
    "JSON Web Key, as text in text": json.dumps({"jwks": json.dumps({"keys": [OCT, JWK]})}),
    "oct": OCT,
    "OKP": json.dumps(OKP),
}


def object_with(kind: Kind, value: Any) -> dict[str, Any]:
    version = kinds.READINGS[kind].versions[0]
    text = value if isinstance(value, str) else json.dumps(value)
    return {
        "apiVersion": f"{kind.group}/{version}" if kind.group else version,
        "kind": kind.name,
        "metadata": {"name": "x", "namespace": "y", "annotations": {"a.example.com/b": text}},
        "data": {"a": text},
        "config": {"a": [value]},
        "spec": {"a": [{"b": value}]},
        "status": {"c": value},
    }


def listed(kind: Kind, manifest: dict[str, Any]) -> Resource:
    read = lister.Read(lister.Listing(kind, Served("v1", "x", "/apis")))
    head = {"apiVersion": manifest["apiVersion"], "kind": f"{kind.name}List", "metadata": {}}
    lister.decode_page(read, bytearray(json.dumps({**head, "items": [manifest]}).encode()))
    (resource,) = read.resources
    return resource


def from_a_file(kind: Kind, manifest: dict[str, Any]) -> Resource:
    (resource,) = decode.resources(manifest)
    return resource


@pytest.mark.parametrize("read", [listed, from_a_file])
@pytest.mark.parametrize("kind", [kinds.CONFIG_MAP, kinds.ENVOY_FILTER, kinds.KONG_PLUGIN], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_cut_out(
    form: str, kind: Kind, read: Callable[[Kind, dict[str, Any]], Resource]
) -> None:
    kept = read(kind, object_with(kind, FORMS[form]))

    dump = msgspec.json.encode(kept.value).decode()
    assert privatekeys.CUT in dump
    for piece in traces(FORMS[form]):
        assert piece not in dump


def traces(value: Any) -> set[str]:
    """Pieces of forty characters of all that is secret in it."""
    text = value if isinstance(value, str) else json.dumps(value)
    plain = text.replace("\\n", "\n").replace("\\", "")
    public = (LEAF, base64.b64encode(LEAF.encode()).decode()[:-8], JWK["n"])
    runs = [run for run in words(plain) if len(run) >= 40]
    pieces = {run[at : at + 40] for run in runs for at in range(40, len(run) - 40, 40)}
    pieces |= {run[:40] for run in runs if not run.startswith("LS0t")}
    found = {piece for piece in pieces if not any(piece in shown for shown in public)}
    assert found, "nothing is looked for"
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9+/=_-]+", text)


@pytest.mark.parametrize(
    "value",
    [
        *(LEAF, base64.b64encode(LEAF.encode()).decode(), "PRIVATE KEY", "LS0tLS1CRUdJTi", ""),
        *("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "LS0tLS1CRUdJTiA"),
        {"kty": "EC", "crv": "P-256", "x": "a" * 43, "y": "b" * 43, "kid": "k" * 40},
        json.dumps({"keys": [{"kty": "RSA", "n": "n" * 300, "e": "AQAB", "kid": "p" * 30}]}),
    ],
)
def test_what_is_public_stays(value: Any) -> None:
    manifest = object_with(kinds.ENVOY_FILTER, value)

    kept = listed(kinds.ENVOY_FILTER, manifest)

    assert kept.value.spec == manifest["spec"]
    assert kept.value.metadata.annotations == manifest["metadata"]["annotations"]


@pytest.mark.parametrize("text", [PKCS8, base64.b64encode(PKCS8.encode()).decode()])
def test_a_secret_keeps_none_in_its_texts(text: str) -> None:
    """Of its annotations those of known controllers stay, and the `id` of a Kong authority."""
    meta = {
        "name": "x",
        "namespace": "y",
        "labels": {"konghq.com/ca-cert": "true"},
        "annotations": {"konghq.com/tags": text},
    }
    data = {key: base64.b64encode(text.encode()).decode() for key in ("id", "cert")}

    kept = listed(
        kinds.SECRET, {"apiVersion": "v1", "metadata": meta, "type": "Opaque", "data": data}
    )

    dump = msgspec.json.encode(kept.value).decode()
    assert privatekeys.CUT in dump
    for piece in traces(text):
        assert piece not in dump
    assert privatekeys.CUT in kept.text("id")


def test_a_snapshot_that_holds_one_is_read_without_it() -> None:
    """Ours hold none; this one somebody else wrote."""
    view = kinds.ConfigMapView(Metadata(name="x", namespace="y"), data={"a": PKCS8})
    held = Resource(Ref(kinds.CONFIG_MAP, "y", "x", "v1"), (), view)
    data = snapshot.save(Batch(resources=(held,)), [kinds.CONFIG_MAP], certs.NOW, Target())

    (kept,) = snapshot.Snapshot(data).list([kinds.CONFIG_MAP]).resources

    assert privatekeys.CUT in kept.text("data", "a")
    assert PKCS8.splitlines()[1] not in kept.text("data", "a")


def test_cutting_twice_is_cutting_once() -> None:
    for value in FORMS.values():
        once = privatekeys.cut(json.loads(json.dumps({"a": value})))
        assert privatekeys.cut(json.loads(json.dumps(once))) == once


@pytest.mark.parametrize(
    "piece",
    [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "LS0tLS1CRUdJTi",
        '"kty" "d":"',
        '"d":"' + "a" * 15,
    ],
)
def test_beginnings_without_an_end_are_no_work(piece: str) -> None:
    """A megabyte of beginnings: what looked on from each of them would take an hour."""
    text = piece * ((1 << 20) // len(piece)) + '"kty PRIVATE KEY'

    assert privatekeys.cut(text)
