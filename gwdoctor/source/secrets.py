"""What survives of a Secret: its certificates, and whether the private key fits.

The bytes of the key are looked at here, once, while decoding, and go no further.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID

from gwdoctor.kinds import CertificateView, PemView, SecretView
from gwdoctor.model import Metadata

#: Data keys that hold certificates: kubernetes.io/tls, Istio's generic form, CA bundles, Kong's CA.
CERTIFICATE_KEYS = ("tls.crt", "cert", "ca.crt", "cacert")
PRIVATE_KEYS = {"tls.crt": "tls.key", "cert": "key"}
#: A chain is a handful of certificates; a bundle of all public roots about 150.
MOST_CERTIFICATES = 400
MOST_BYTES = 1 << 20

#: The body may hold `Proc-Type: 4,ENCRYPTED`: a dash ends it only where a line of dashes begins.
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[^-]*+(?:-(?!----)[^-]*+)*+-----END \1-----")
#: Of a Secret's annotations those of controllers that checks know: some tools copy whole objects,
#: and with them the key, into annotations of their own.
_ANNOTATIONS = ("cert-manager.io", "konghq.com", "istio.io", "kubernetes.io", "gwdoctor.dev")
_QUIET = threading.Lock()
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class RawSecret(msgspec.Struct):
    """A Secret as the server sends it. Lives only as long as `reduce` runs."""

    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, str | None] | None = None
    stringData: dict[str, str | None] | None = None  # noqa: N815 - only in manifests

    def __repr__(self) -> str:  # a traceback or a debugger must not show the data
        return f"RawSecret({self.metadata.namespace}/{self.metadata.name})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.metadata.name)]


def reduce(secret: RawSecret) -> SecretView:
    """The view that is kept."""
    # the library warns of odd certificates as if we had made them; filters are the process's own,
    # so one at a time
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return _reduced(secret)


def _reduced(secret: RawSecret) -> SecretView:
    data = _decoded(secret)
    pem = {
        key: _certificates(data[key])
        for key in CERTIFICATE_KEYS
        if key in data and data[key] != b""
    }
    _drop_foreign_annotations(secret.metadata)
    view = SecretView(
        metadata=secret.metadata,
        type=secret.type,
        keys=sorted(data),
        emptyKeys=sorted(key for key, value in data.items() if value == b""),
        pem=pem,
        key=_key_answer(data, pem),
    )
    if "konghq.com/ca-cert" in (secret.metadata.labels or {}):
        identity = data.get("id") or b""
        view.id = identity.decode("ascii", "replace")[:64]
    return view


def _drop_foreign_annotations(metadata: Metadata) -> None:
    kept = {
        key: value
        for key, value in (metadata.annotations or {}).items()
        if key.partition("/")[0].endswith(_ANNOTATIONS) and key != _LAST_APPLIED
    }
    metadata.annotations = kept or None


def _decoded(secret: RawSecret) -> dict[str, bytes | None]:
    """Data key to bytes; None where the base64 is broken."""
    data: dict[str, bytes | None] = {}
    for key, text in (secret.data or {}).items():
        try:
            data[key] = base64.b64decode("".join((text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            data[key] = None
    for key, text in (secret.stringData or {}).items():
        data[key] = (text or "").encode()
    return data


def _certificates(text: bytes | None) -> PemView:
    if text is None:
        return PemView(problem="is not valid base64")
    if len(text) > MOST_BYTES:
        return PemView(problem=f"is larger than {MOST_BYTES} bytes")
    blocks = list(_BLOCK.finditer(text))
    labels = [block[1].decode() for block in blocks]
    found = [block[0] for block in blocks if block[1] == b"CERTIFICATE"]
    if not found:
        return PemView(problem=_why_no_certificate(text, labels))
    view = PemView()
    for number, block in enumerate(found[:MOST_CERTIFICATES], 1):
        try:
            view.certificates.append(certificate(x509.load_pem_x509_certificate(block)))
        except Exception:  # the parser has many, and its texts are for programmers
            if not view.problem:
                view.problem = f"holds a CERTIFICATE block (number {number}) that cannot be parsed"
            if number == 1:  # without a leaf, the rest says nothing about what is served
                break
    if not view.problem and any("PRIVATE KEY" in label for label in labels):
        view.problem = "holds a private key beside the certificate"
    return view


def _why_no_certificate(text: bytes, labels: list[str]) -> str:
    if any("PRIVATE KEY" in label for label in labels):
        return "holds a private key where the certificate should be"
    if labels:
        return f"holds a {labels[0]} block and no CERTIFICATE block"
    if text[:1] == b"\x30":
        return "is DER, not PEM"
    if b"-----BEGIN CERTIFICATE" in text:
        return "holds a CERTIFICATE block that does not end"
    try:
        if b"-----BEGIN" in base64.b64decode(b"".join(text.split()), validate=True):
            return "is base64 encoded twice"
    except (binascii.Error, ValueError):
        pass
    return "holds no PEM certificate"


def certificate(parsed: x509.Certificate) -> CertificateView:
    """What is kept of one certificate. Every field that cannot be read stays empty."""
    view = CertificateView(
        subject=_name(parsed, "subject"),
        issuer=_name(parsed, "issuer"),
        serial=f"{parsed.serial_number:x}",
        notBefore=_time(parsed.not_valid_before_utc),
        notAfter=_time(parsed.not_valid_after_utc),
        sha256=parsed.fingerprint(hashes.SHA256()).hex(),
    )
    try:
        view.signatureHash = (
            parsed.signature_hash_algorithm.name if parsed.signature_hash_algorithm else ""
        )
    except UnsupportedAlgorithm:
        view.signatureHash = ""
    view.selfSigned = _self_signed(parsed)
    _describe_key(view, parsed)
    _describe_extensions(view, parsed)
    return view


def _name(parsed: x509.Certificate, which: str) -> str:
    try:
        name: x509.Name = getattr(parsed, which)
        return name.rfc4514_string()
    except ValueError:
        return ""


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _self_signed(parsed: x509.Certificate) -> bool:
    try:
        if parsed.subject != parsed.issuer:
            return False
        parsed.verify_directly_issued_by(parsed)
    except Exception:  # an algorithm that cannot be verified, a name that cannot be parsed
        return False
    return True


def _describe_key(view: CertificateView, parsed: x509.Certificate) -> None:
    try:
        key: Any = parsed.public_key()
        encoded = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, UnsupportedAlgorithm):
        return
    digest = hashes.Hash(hashes.SHA256())
    digest.update(encoded)
    view.publicKey = digest.finalize().hex()
    match key:
        case rsa.RSAPublicKey():
            view.keyType, view.keyBits = "RSA", key.key_size
        case ec.EllipticCurvePublicKey():
            view.keyType, view.keyBits = "EC", key.key_size
        case ed25519.Ed25519PublicKey():
            view.keyType, view.keyBits = "Ed25519", 256
        case ed448.Ed448PublicKey():
            view.keyType, view.keyBits = "Ed448", 456
        case dsa.DSAPublicKey():
            view.keyType, view.keyBits = "DSA", key.key_size


def _describe_extensions(view: CertificateView, parsed: x509.Certificate) -> None:
    try:
        extensions = parsed.extensions
    except Exception:  # one broken extension hides them all
        view.extensionsUnread = True
        return
    for extension in extensions:
        value: Any = extension.value
        match extension.oid:
            case ExtensionOID.SUBJECT_ALTERNATIVE_NAME:
                view.dnsNames = list(value.get_values_for_type(x509.DNSName))
                view.ipAddresses = [str(ip) for ip in value.get_values_for_type(x509.IPAddress)]
            case ExtensionOID.BASIC_CONSTRAINTS:
                view.isCA = value.ca
            case ExtensionOID.EXTENDED_KEY_USAGE:
                view.usages = [usage.dotted_string for usage in value]
            case ExtensionOID.SUBJECT_KEY_IDENTIFIER:
                view.subjectKeyId = value.digest.hex()
            case ExtensionOID.AUTHORITY_KEY_IDENTIFIER:
                view.authorityKeyId = (value.key_identifier or b"").hex()


def _key_answer(data: Mapping[str, bytes | None], pem: Mapping[str, PemView]) -> str:
    """Whether the private key fits the first certificate: see `SecretView.key`."""
    pair = next((pair for pair in PRIVATE_KEYS.items() if pair[0] in data or pair[1] in data), None)
    if pair is None:
        return ""
    certificates, key = pair
    text = data.get(key, b"")
    if text == b"":
        return "missing"
    if text is None or len(text) > MOST_BYTES:
        return "unreadable"
    leaf = next(iter(pem[certificates].certificates), None) if certificates in pem else None
    try:
        private: Any = serialization.load_pem_private_key(
            # only its public half is compared, so the costly check of the numbers is not needed
            text,
            password=None,
            unsafe_skip_rsa_key_validation=True,
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except TypeError:
        return "encrypted"
    except Exception:  # garbage in, and the error text might quote it: say only that
        return "unreadable"
    if leaf is None or not leaf.publicKey:
        return "unknown"
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public)
    return "matches" if digest.finalize().hex() == leaf.publicKey else "differs"
