"""What survives of a Secret, whatever is in it."""

from __future__ import annotations

import base64
import pickle
import time
from datetime import UTC, datetime
from typing import Any

import certs
import commandline
import msgspec
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gwdoctor import Cluster, privatekeys
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.kinds import CertificateView, SecretView
from gwdoctor.model import Metadata
from gwdoctor.source import decode, secrets

LEAF = certs.certificate_pem(dns=["shop.example.com"])
CA = certs.certificate_pem(cn="Test CA", issuer="self", key="ca-Test CA", ca=True)
KEY = certs.key_pem("leaf")


def short(value: object) -> str:
    """The id of a parameter: never bytes, which differ from worker to worker."""
    return "bytes" if isinstance(value, bytes) else str(value)


NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])


def view(data: dict[str, bytes], **more: Any) -> SecretView:
    encoded: dict[str, str | None] = {
        key: base64.b64encode(value).decode() for key, value in data.items()
    }
    meta = Metadata(name="t", namespace="a", **more)
    return secrets.reduce(secrets.RawSecret(meta, "kubernetes.io/tls", encoded))


def pair(crt: bytes, key: bytes = KEY) -> SecretView:
    return view({"tls.crt": crt, "tls.key": key})


def leaf(seen: SecretView) -> CertificateView:
    return seen.pem["tls.crt"].certificates[0]


def own(private: Any, **extension: x509.ExtensionType) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1))
        .not_valid_after(datetime(2036, 1, 1))
    )
    for value in extension.values():
        builder = builder.add_extension(value, critical=False)
    algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(private, algorithm)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(private: Any, form: str = "PKCS8", password: bytes = b"") -> bytes:
    protection: Any = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    encoded: bytes = private.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), protection
    )
    return encoded


def test_a_good_pair() -> None:
    seen = pair(LEAF + CA)

    assert seen.key == "matches"
    assert seen.keys == ["tls.crt", "tls.key"]
    assert leaf(seen).dnsNames == ["shop.example.com"]
    assert leaf(seen).notAfter == "2027-02-19T12:00:00Z"
    assert leaf(seen).issuer == "CN=Test CA"
    assert [c.isCA for c in seen.pem["tls.crt"].certificates] == [False, True]
    assert [c.selfSigned for c in seen.pem["tls.crt"].certificates] == [False, True]
    assert not seen.pem["tls.crt"].problem


@pytest.mark.parametrize(
    ("crt", "problem"),
    [
        (b"\n", "holds no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\n", "holds a CERTIFICATE block that does not end"),
        (LEAF[:300], "holds a CERTIFICATE block that does not end"),
        (
            LEAF[:300] + LEAF[320:],
            "holds a CERTIFICATE block (number 1) that cannot be parsed",
        ),
        (KEY, "holds a private key where the certificate should be"),
        (
            private_pem(certs.private_key("leaf"), "TraditionalOpenSSL", b"pw"),
            "holds a private key where the certificate should be",
        ),
        (base64.b64encode(LEAF), "is base64 encoded twice"),
        (base64.encodebytes(LEAF), "is base64 encoded twice"),
        (x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER), "is DER"),
        (LEAF.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST"), "holds a CERTIFICATE REQUEST block"),
        (b"\x00\xff\xfe" * 100, "holds no PEM certificate"),
        (b"x" * 10_000_000, "is larger than"),
        (b"-----BEGIN A-----" * 50_000, "holds no PEM certificate"),
    ],
    ids=short,
)
def test_every_bad_certificate_is_told_by_its_reason(crt: bytes, problem: str) -> None:
    started = time.process_time()

    seen = pair(crt)

    assert seen.pem["tls.crt"].problem.startswith(problem)
    assert not seen.pem["tls.crt"].certificates
    assert seen.key == "unknown"
    assert time.process_time() - started < 3


def test_an_empty_value_is_told_from_an_absent_one() -> None:
    seen = view({"tls.crt": b"", "tls.key": b""})

    assert seen.emptyKeys == ["tls.crt", "tls.key"]
    assert seen.pem == {}
    assert seen.key == "missing"


def test_broken_base64_is_a_problem_of_the_key_that_holds_it() -> None:
    data: dict[str, str | None] = {"tls.crt": "%%%", "tls.key": base64.b64encode(KEY).decode()}

    seen = secrets.reduce(secrets.RawSecret(Metadata(name="t"), "kubernetes.io/tls", data))

    assert seen.pem["tls.crt"].problem == "is not valid base64"
    assert seen.key == "unknown"


def test_a_broken_second_block_does_not_hide_the_leaf() -> None:
    seen = pair(LEAF + CA[:100] + CA[130:])

    assert leaf(seen).dnsNames == ["shop.example.com"]
    assert "number 2" in seen.pem["tls.crt"].problem


@pytest.mark.parametrize(
    "crt",
    [
        LEAF.replace(b"\n", b"\r\n"),
        b"Bag Attributes\n    friendlyName: a-----b\n" + LEAF,
        b"\xef\xbb\xbf" + LEAF,
        LEAF.strip(),
        LEAF + b"\x00" + CA,
    ],
    ids=short,
)
def test_what_servers_put_up_with_is_no_problem(crt: bytes) -> None:
    seen = pair(crt)

    assert not seen.pem["tls.crt"].problem
    assert seen.key == "matches"


def test_a_key_beside_the_certificate_is_told() -> None:
    assert pair(LEAF + KEY).pem["tls.crt"].problem == "holds a private key beside the certificate"


@pytest.mark.parametrize(
    ("private", "kind", "bits", "signature"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA", 2048, "sha256"),
        (ec.generate_private_key(ec.SECP384R1()), "EC", 384, "sha256"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519", 256, ""),
    ],
)
def test_keys_of_every_sort_are_compared(
    private: Any, kind: str, bits: int, signature: str
) -> None:
    seen = pair(pem(own(private)), private_pem(private))

    assert (leaf(seen).keyType, leaf(seen).keyBits) == (kind, bits)
    assert leaf(seen).signatureHash == signature
    assert leaf(seen).selfSigned
    assert seen.key == "matches"
    assert pair(pem(own(private))).key == "differs"


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        (private_pem(certs.private_key("leaf"), "TraditionalOpenSSL"), "matches"),
        (
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            + private_pem(certs.private_key("leaf"), "TraditionalOpenSSL"),
            "matches",
        ),
        (KEY.replace(b"\n", b"\r\n"), "matches"),
        (LEAF + KEY, "matches"),
        (private_pem(certs.private_key("leaf"), "PKCS8", b"pw"), "encrypted"),
        (private_pem(certs.private_key("leaf"), "TraditionalOpenSSL", b"pw"), "encrypted"),
        (LEAF, "unreadable"),
        (KEY[:80], "unreadable"),
        (base64.b64encode(KEY), "unreadable"),
        (b"x" * 10_000_000, "unreadable"),
        (b"", "missing"),
    ],
    ids=short,
)
def test_the_answer_of_every_key(key: bytes, answer: str) -> None:
    assert pair(LEAF, key).key == answer


def test_istio_s_own_names_of_the_keys() -> None:
    seen = view({"cert": LEAF, "key": KEY, "cacert": CA})

    assert seen.key == "matches"
    assert set(seen.pem) == {"cert", "cacert"}


def test_times_are_utc_and_absurd_ones_do_no_harm() -> None:
    der = x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER)
    assert b"270219120000Z" in der

    old = der.replace(b"270219120000Z", b"500219120000Z")  # UTCTime: 50 is 1950
    impossible = der.replace(b"270219120000Z", b"271332996199Z")

    assert leaf(pair(armoured(old))).notAfter == "1950-02-19T12:00:00Z"
    assert "cannot be parsed" in pair(armoured(impossible)).pem["tls.crt"].problem


def armoured(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def test_a_certificate_of_an_unknown_version_is_a_problem_and_no_error() -> None:
    der = x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER)

    seen = pair(armoured(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)))

    assert "cannot be parsed" in seen.pem["tls.crt"].problem


def test_a_certificate_of_version_1_is_read() -> None:
    """It has no extensions, so no names; some appliances still make them."""
    private = certs.private_key("leaf")
    der = own(private).public_bytes(serialization.Encoding.DER)
    version = b"\xa0\x03\x02\x01\x02"
    assert der.count(version) == 1
    content = der[content_of(der) :]
    tbs_end = content_of(content) + length_of(content)
    tbs = content[content_of(content) : tbs_end].replace(version, b"")

    seen = pair(armoured(sequence(sequence(tbs) + content[tbs_end:])), KEY)

    assert not seen.pem["tls.crt"].problem
    assert seen.key == "matches"
    assert (leaf(seen).dnsNames, leaf(seen).isCA) == ([], False)


def content_of(der: bytes) -> int:
    """Where the content of a DER value begins."""
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)


def length_of(der: bytes) -> int:
    """How long it is."""
    return int.from_bytes(der[2 : content_of(der)]) if der[1] & 0x80 else der[1]


def sequence(content: bytes) -> bytes:
    length = len(content).to_bytes(1 if len(content) < 256 else 2)
    return bytes([0x30, 0x80 | len(length)]) + length + content


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (datetime(1950, 1, 1), datetime(1950, 1, 2)),
        (datetime(9999, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
        (datetime(1950, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_the_first_and_the_last_dates_that_there_are(begin: datetime, end: datetime) -> None:
    """9999-12-31 is how RFC 5280 says that a certificate never expires."""
    private = certs.private_key("leaf")
    made = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), False)
        .sign(private, hashes.SHA256())
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "t", "namespace": "a"},
        "data": {
            "tls.crt": base64.b64encode(pem(made)).decode(),
            "tls.key": base64.b64encode(KEY).decode(),
        },
    }
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "a"},
        "spec": {"tls": [{"secretName": "t", "hosts": ["a.example.com"]}]},
    }
    cluster = Cluster([*decode.resources(secret), *decode.resources(ingress)], now=certs.NOW)

    report = scan(cluster, list(catalogue().values()))

    assert not [skip.reason for skip in report.skips if skip.is_bug]
    told = {finding.check for finding in report.findings}
    assert ("tls/certificate-expired" in told) == (end < datetime(2026, 11, 21))


def test_an_odd_serial_number_is_no_warning_to_the_user() -> None:
    der = x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER)
    assert b"\x02\x02\x10\x00" in der

    seen = pair(armoured(der.replace(b"\x02\x02\x10\x00", b"\x02\x02\x80\x00", 1)))

    assert seen.pem["tls.crt"].certificates  # and pytest turns warnings into errors


def test_extensions_that_cannot_be_read_are_not_absent_names() -> None:
    der = x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER)
    tag_of_a_dns_name = b"\x82\x10shop.example.com"
    assert tag_of_a_dns_name in der

    seen = pair(armoured(der.replace(tag_of_a_dns_name, b"\x87\x10shop.example.co\xff", 1)))
    broken = pair(armoured(der.replace(tag_of_a_dns_name, b"\x82\x7fshop.example.com", 1)))

    assert leaf(seen).dnsNames == []
    assert leaf(seen).ipAddresses  # sixteen bytes are an IPv6 address
    assert leaf(broken).extensionsUnread


def test_names_of_every_sort() -> None:
    import ipaddress

    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("*.example.com"),
            x509.DNSName("xn--bcher-kva.example"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.UniformResourceIdentifier("spiffe://cluster.local/ns/a/sa/b"),
        ]
    )
    private = certs.private_key("leaf")

    seen = leaf(pair(pem(own(private, san=names))))

    assert seen.dnsNames == ["*.example.com", "xn--bcher-kva.example"]
    assert seen.ipAddresses == ["192.0.2.7", "2001:db8::1"]
    assert leaf(pair(pem(own(private)))).dnsNames == []


def test_a_bundle_of_all_roots_stays_bounded() -> None:
    assert len(pair(LEAF * 1000).pem["tls.crt"].certificates) == secrets.MOST_CERTIFICATES


def test_annotations_of_tools_that_copy_whole_objects_are_dropped() -> None:
    copied = base64.b64encode(KEY).decode()
    annotations = {
        "cert-manager.io/certificate-name": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": copied,
        "objectset.rio.cattle.io/applied": copied,
        "kapp.k14s.io/original": copied,
    }

    seen = view({"tls.crt": LEAF, "tls.key": KEY}, annotations=annotations)

    assert seen.metadata.annotations == {"cert-manager.io/certificate-name": "shop"}


def traces(key: bytes) -> list[bytes]:
    """Pieces of a key as they could turn up: PEM body, its base64, the raw number."""
    body = b"".join(key.splitlines()[1:-1])
    raw = base64.b64decode(body)
    return [
        body[:24],
        body[24:48],
        base64.b64encode(key)[:40],
        raw[40:60],
        raw[40:60].hex().encode(),
    ]


@pytest.mark.parametrize("where", ["tls.key", "tls.crt", "ca.crt", "key", "cert", "password", "id"])
def test_no_byte_of_a_key_survives_wherever_it_stood(where: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "t",
            "namespace": "a",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": base64.b64encode(KEY).decode()
            },
        },
        "data": {"tls.crt": base64.b64encode(LEAF).decode(), where: base64.b64encode(KEY).decode()},
    }

    (kept,) = decode.resources(manifest)

    dump = msgspec.json.encode(kept.value) + repr(kept).encode() + pickle.dumps(str(kept.value))
    for trace in traces(KEY):
        assert trace not in dump


def test_no_byte_of_a_key_survives_in_an_error_or_a_repr() -> None:
    text = base64.b64encode(KEY).decode()
    raw = secrets.RawSecret(Metadata(name="t", namespace="a"), data={"tls.key": text})
    wrong = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "t"},
        "data": {"tls.key": [text]},
    }

    with pytest.raises(decode.BadObject) as raised:
        list(decode.resources(wrong))

    assert text[:30] not in f"{raw!r} {raw} {raised.value!r} {raised.value.__cause__!r}"


@given(st.binary(max_size=400), st.integers(0, len(LEAF)))
def test_no_bytes_whatever_break_it(noise: bytes, position: int) -> None:
    spoilt = LEAF[:position] + noise + LEAF[position + len(noise) :]

    for seen in (pair(spoilt), pair(LEAF, KEY[: position // 2] + noise), pair(noise, noise)):
        assert seen.key in {"matches", "differs", "missing", "unreadable", "encrypted", "unknown"}


@given(st.integers(0, 5000), st.integers(0, 255))
def test_no_changed_byte_of_a_certificate_breaks_it(position: int, value: int) -> None:
    der = bytearray(x509.load_pem_x509_certificate(LEAF).public_bytes(serialization.Encoding.DER))
    der[position % len(der)] = value

    seen = pair(armoured(bytes(der)))

    assert seen.pem["tls.crt"].problem or seen.pem["tls.crt"].certificates
    assert datetime.now(UTC)


def filter_with(key: str) -> dict[str, Any]:
    """An EnvoyFilter with a key in it, for which a check has a fix."""
    filters: dict[str, Any] = yaml.safe_load(commandline.BROKEN)
    inline = {"applyTo": "CLUSTER", "patch": {"value": {"private_key": {"inline_string": key}}}}
    filters["spec"]["configPatches"].append(inline)
    return filters


@pytest.mark.parametrize("ending", ["", "cut off", "RSA"])
def test_a_key_in_any_other_object_is_cut_out_of_it(ending: str) -> None:
    key = KEY.decode()
    if ending == "cut off":
        key = key[: len(key) // 2]
    elif ending == "RSA":
        key = key.replace("PRIVATE KEY", "RSA PRIVATE KEY")

    (kept,) = decode.resources(filter_with(f"before {key} after"))

    dump = msgspec.json.encode(kept.value)
    assert b"before -----BEGIN" in dump
    assert privatekeys.CUT.encode() in dump
    assert not any(line.encode() in dump for line in key.splitlines()[1:3])


def test_a_fix_that_would_write_a_cut_key_back_is_none() -> None:
    with_key = Cluster(decode.resources(filter_with(KEY.decode())))
    probe = catalogue()[commandline.CHECK]

    (finding,) = scan(with_key, [probe]).findings
    (other,) = scan(Cluster(decode.resources(filter_with("none"))), [probe]).findings

    assert other.fix is not None
    assert finding.fix is None
    assert "by hand" in finding.advice
