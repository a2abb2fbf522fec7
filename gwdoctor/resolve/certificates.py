"""X.509: days left, names covered, the chain behind a leaf, what is weak.

Everything here reads the `CertificateView`s that survive of a Secret; nothing opens a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts

#: Data keys that a server certificate is read from, best first, and the key that goes with each.
PAIRS = (("tls.crt", "tls.key"), ("cert", "key"))


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """A field by which something of the entry serves the certificate of a Secret.

    `hosts` are the names that clients ask for there: exact or `*.suffix`, as the user's own
    fields say them. Empty, or `*`, where any name may come.
    """

    field: Field
    root: Resource
    namespace: str
    name: str
    hosts: tuple[str, ...] = ()


def time_of(text: str) -> datetime | None:
    """An RFC 3339 time, None for anything else."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def date(text: str) -> str:
    """The day of an RFC 3339 time, for messages."""
    return text.partition("T")[0]


def in_days(span: timedelta) -> str:
    """A span in words that do not change while one reads: whole days, or hours below two days."""
    hours = int(span / timedelta(hours=1))
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} hour{'' if hours == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The certificates under one data key of a Secret, in the order in which they are sent."""

    field: Field
    key: str

    @property
    def certificates(self) -> tuple[Field, ...]:
        """All that could be parsed."""
        return tuple(self.field.each("certificates"))

    @property
    def problem(self) -> str:
        """Why some of it, or all, could not be parsed; empty when all is well."""
        return self.field.text("problem")

    @property
    def leaf(self) -> Field | None:
        """The first certificate: the one that servers present as their own."""
        return next(iter(self.certificates), None)


def served(secret: Resource) -> Bundle | None:
    """What a server that is pointed at this Secret sends; None where no key for it is there.

    `tls.crt` is what every controller reads; Istio also reads `cert`.
    """
    for key, _ in PAIRS:
        if secret.has("pem", key):
            return Bundle(secret.at("pem", key), key)
    return None


def leaf_of(secret: Resource) -> Field | None:
    """The certificate that a server presents as its own, None where there is none to parse."""
    bundle = served(secret)
    return bundle.leaf if bundle is not None else None


def is_authority_only(secret: Resource) -> bool:
    """Whether it holds CA certificates for verifying others, and no pair to serve."""
    keys = set(secret.texts("keys"))
    pair = {key for pair in PAIRS for key in pair}
    if secret.label("konghq.com/ca-cert"):
        return True
    bundle = served(secret)
    if bundle is None or bundle.leaf is None:
        return bool(keys & {"ca.crt", "cacert"}) and not keys & pair
    has_names = bool(bundle.leaf.texts("dnsNames"))  # `openssl req -x509` sets the CA bit as well
    return not has_names and first_server_certificate(bundle) is None


def names(certificate: Field) -> tuple[str, ...]:
    """The subjectAltNames that a host is compared with: DNS names and IP addresses."""
    return (*certificate.texts("dnsNames"), *certificate.texts("ipAddresses"))


def covers(certificate: Field, host: str) -> bool:
    """Whether a client that asks for `host` accepts the names of this certificate."""
    if host in certificate.texts("ipAddresses"):
        return True
    return hosts.sans_cover(certificate.texts("dnsNames"), host)


def common_name(certificate: Field) -> str:
    """The CN of the subject, or the whole subject where it has none."""
    return _common_name(certificate.text("subject"))


def issuer_name(certificate: Field) -> str:
    """The CN of the issuer, or the whole issuer where it has none."""
    return _common_name(certificate.text("issuer"))


def _common_name(name: str) -> str:
    for part in name.split(","):
        kind, _, value = part.strip().partition("=")
        if kind == "CN" and value:
            return value
    return name or "without a name"


def organisation(name: str) -> str:
    """The O of a distinguished name as RFC 4514 writes it, unescaped; empty where there is none."""
    plain = name.replace("\\,", "\0").replace("\\", "")
    for part in plain.split(","):
        kind, _, value = part.strip().partition("=")
        if kind == "O":
            return value.replace("\0", ",")
    return ""


def label(certificate: Field) -> str:
    """A certificate as a message names it: its first name, else its common name."""
    first = next(iter(names(certificate)), "")
    return first or common_name(certificate)


def issued(issuer: Field, certificate: Field) -> bool:
    """Whether `issuer` looks like what signed `certificate`: by name, and by key id where given."""
    if issuer.text("subject") != certificate.text("issuer"):
        return False
    wanted, got = certificate.text("authorityKeyId"), issuer.text("subjectKeyId")
    return not (wanted and got) or wanted == got


def path(certificates: Sequence[Field]) -> tuple[Field, ...]:
    """The leaf and, one after the other, the certificate among the rest that issued the last."""
    if not certificates:
        return ()
    found = [certificates[0]]
    rest = list(certificates[1:])
    while not found[-1].flag("selfSigned"):
        following = next((other for other in rest if issued(other, found[-1])), None)
        if following is None:
            break
        rest.remove(following)
        found.append(following)
    return tuple(found)


def days_left(certificate: Field, now: datetime) -> timedelta | None:
    """The time until notAfter, negative when it has passed."""
    end = time_of(certificate.text("notAfter"))
    return end - now if end is not None else None


def weakness(certificate: Field) -> str:
    """Why OpenSSL at its default level, or browsers, refuse a certificate; empty when they do not.

    OpenSSL 3 refuses below 112 bits of security at level 2 (RSA below 2048, SHA-1 signatures);
    CA/Browser Forum Baseline Requirements 6.1.5 ask for RSA 2048 and P-256.
    """
    kind, bits = certificate.text("keyType"), certificate.number("keyBits") or 0
    if kind in ("RSA", "DSA") and 0 < bits < 2048:
        return f"key of {bits} bits ({kind})"
    if kind == "EC" and 0 < bits < 256:
        return f"key of {bits} bits (EC)"
    signature = certificate.text("signatureHash")
    if signature in ("sha1", "md5", "md4", "md2") and not certificate.flag("selfSigned"):
        return f"signature over {signature.upper()}"
    return ""


def first_server_certificate(bundle: Bundle) -> Field | None:
    """The first certificate of a bundle that is no authority."""
    return next((c for c in bundle.certificates if not c.flag("isCA")), None)


def leads_with_its_authority(bundle: Bundle) -> bool:
    """Whether an authority comes first and what a server would present comes behind it."""
    leaf = bundle.leaf
    return leaf is not None and leaf.flag("isCA") is True and bool(first_server_certificate(bundle))


#: Authorities whose roots are in the public trust stores: they issue through intermediates only.
_PUBLIC = (
    "Let's Encrypt",
    "DigiCert Inc",
    "Sectigo Limited",
    "ZeroSSL",
    "GlobalSign nv-sa",
    "GoDaddy.com, Inc.",
    "Starfield Technologies, Inc.",
    "Google Trust Services",
    "Google Trust Services LLC",
    "Amazon",
    "Entrust, Inc.",
    "SSL Corporation",
    "Microsoft Corporation",
    "Actalis S.p.A.",
    "Buypass AS-983163327",
    "TrustAsia Technologies, Inc.",
    "COMODO CA Limited",
    "GeoTrust Inc.",
    "Thawte, Inc.",
)


def missing_issuer(bundle: Bundle, secret: Resource) -> str:
    """Why the issuer of the leaf should have been sent and was not; empty where all is well."""
    sent = bundle.certificates
    leaf = sent[0]
    if leaf.flag("isCA") or leaf.text("issuer") == leaf.text("subject") or len(path(sent)) > 1:
        return ""
    authorities = [
        c for key in ("ca.crt", "cacert") for c in secret.each("pem", key, "certificates")
    ]
    above = next((authority for authority in authorities if issued(authority, leaf)), None)
    if above is not None:
        return "" if above.text("subject") == above.text("issuer") else "which only ca.crt holds"
    if len(sent) > 1:
        return "and none of the other certificates issued it"
    if organisation(leaf.text("issuer")) in _PUBLIC:
        return "an intermediate that clients need to reach a root they trust"
    return ""
