"""cert-manager: who issues what, how far an issuance came, and what the shims were asked for.

Rules: cert-manager 1.21, internal/controller/certificates/policies, pkg/controller/certificate-shim
and cmctl's `status certificate`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Kind, Resource, Severity
from gwdoctor.resolve import certificates, status

GROUP = "cert-manager.io"
ISSUER = f"{GROUP}/issuer"
CLUSTER_ISSUER = f"{GROUP}/cluster-issuer"
ISSUER_KIND = f"{GROUP}/issuer-kind"
ISSUER_GROUP = f"{GROUP}/issuer-group"
CERTIFICATE_NAME = f"{GROUP}/certificate-name"

#: What cert-manager may take, for an issuance or from the planned time to the first sign of work.
PATIENCE = timedelta(minutes=10)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> timedelta | None:
    """A Go duration (`2160h0m0s`), None for anything else."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    return timedelta(seconds=seconds) if seconds < 1e12 else None


# --- issuers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IssuerReference:
    """A reference to an Issuer or ClusterIssuer of cert-manager's own group."""

    field: Field  #: what one would edit
    kind: Kind
    namespace: str  #: empty for a ClusterIssuer
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}".replace(" /", " ")


def issuer_of(certificate: Resource) -> IssuerReference | None:
    """What `spec.issuerRef` names (kind Issuer by default); None for an issuer of another group."""
    reference = certificate.at("spec", "issuerRef")
    if reference.text("group") not in ("", GROUP) or not reference.text("name"):
        return None
    return _reference(
        reference.at("name"),
        reference.text("kind") or "Issuer",
        certificate.namespace,
        reference.text("name"),
    )


def _reference(field: Field, kind: str, namespace: str, name: str) -> IssuerReference | None:
    if kind == "Issuer":
        return IssuerReference(field, kinds.ISSUER, namespace, name)
    if kind == "ClusterIssuer":
        return IssuerReference(field, kinds.CLUSTER_ISSUER, "", name)
    return None


def asked_issuer(annotated: Resource) -> IssuerReference | None:
    """The issuer that the annotations of an Ingress, Gateway or ListenerSet ask for.

    None without one, for an issuer of another group, and where the annotations contradict each
    other: nothing is issued then.
    """
    issuer, cluster_issuer = annotated.annotation(ISSUER), annotated.annotation(CLUSTER_ISSUER)
    if bool(issuer) == bool(cluster_issuer) or annotated.annotation(ISSUER_GROUP) not in (
        "",
        GROUP,
    ):
        return None
    kind = "ClusterIssuer" if cluster_issuer else annotated.annotation(ISSUER_KIND) or "Issuer"
    key = CLUSTER_ISSUER if cluster_issuer else ISSUER
    return _reference(
        annotated.at("metadata", "annotations", key),
        kind,
        annotated.namespace,
        issuer or cluster_issuer,
    )


def lookup(reference: IssuerReference, cluster: Cluster) -> Resource | None:
    """The issuer, None where it does not exist; raises OutOfView where we cannot know."""
    return cluster.get(reference.kind, reference.namespace, reference.name)


def namesakes(reference: IssuerReference, cluster: Cluster) -> tuple[Resource, ...]:
    """Issuers of the same name that are not meant: of the other kind, or in other namespaces."""
    found = cluster.derive(_issuers_by_name).get(reference.name, ())
    meant = (reference.kind, reference.namespace)
    return tuple(i for i in found if (i.ref.kind, i.namespace) != meant)


def _issuers_by_name(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    """All that are seen: a hint, so one kind that is hidden does not hide the other."""
    found: dict[str, list[Resource]] = defaultdict(list)
    for kind in (kinds.CLUSTER_ISSUER, kinds.ISSUER):
        try:
            issuers = cluster[kind]
        except OutOfView:
            continue
        for issuer in issuers:
            found[issuer.name].append(issuer)
    return found


def not_ready(issuer: Resource) -> Field | None:
    """The Ready condition of an issuer that its controller has set to False, of late."""
    return status.says(issuer, issuer.at("status"), "Ready", "False")


# --- what a Certificate says -------------------------------------------------------------


def is_ready(certificate: Resource) -> bool:
    """Whether cert-manager says so about the Certificate as it is now."""
    return status.says(certificate, certificate.at("status"), "Ready", "True") is not None


def is_stuck(certificate: Resource, now: datetime) -> bool:
    """Whether a condition of late says that an issuance failed, or lasts longer than one takes."""
    state = certificate.at("status")
    if status.says(certificate, state, "Issuing", "False"):
        return True
    for condition, value in (("Ready", "False"), ("Issuing", "True")):
        told = status.says(certificate, state, condition, value)
        if told is None:
            continue
        since = certificates.time_of(told.text("lastTransitionTime"))
        if since is None or now - since > PATIENCE:
            return True
    return False


def overdue_since(certificate: Resource, now: datetime) -> datetime | None:
    """The planned renewal, where it has passed and no condition speaks of an issuance."""
    due = certificates.time_of(certificate.text("status", "renewalTime"))
    if due is None or now - due < PATIENCE:
        return None
    state = certificate.at("status")
    told = status.condition(state, "Ready")
    is_known = told is not None and told.text("status") == "False"
    if is_known or status.condition(state, "Issuing") is not None:
        return None
    return due


def is_planned_or_told(certificate: Resource, now: datetime) -> bool:
    """Whether the renewal still lies ahead, or a check on the Certificate says why it is late."""
    due = certificates.time_of(certificate.text("status", "renewalTime"))
    if due is not None and now - due < PATIENCE:
        return True
    return is_stuck(certificate, now) or overdue_since(certificate, now) is not None


def urgency(certificate: Resource, now: datetime) -> Severity:
    """What it costs that this Certificate is not issued or renewed."""
    end = certificates.time_of(certificate.text("status", "notAfter"))
    told = status.condition(certificate.at("status"), "Ready")
    no_pair = ("DoesNotExist", "MissingData", "InvalidKeyPair", "InvalidCertificate", "Expired")
    is_down = told is not None and told.text("status") == "False" and told.text("reason") in no_pair
    if is_down or (end is not None and end <= now):
        return Severity.CRITICAL
    if end is not None and end - now > timedelta(days=14):
        return Severity.MEDIUM
    return Severity.HIGH


def renew_command(certificate: Resource) -> str:
    """The line that asks cert-manager for a new certificate now."""
    return f"cmctl renew {quote(certificate.name)} --namespace {quote(certificate.namespace)}"


def next_try(certificate: Resource) -> datetime | None:
    """When cert-manager tries again after failures: an hour, doubled each time up to 32."""
    failed = certificate.number("status", "failedIssuanceAttempts") or 0
    last = certificates.time_of(certificate.text("status", "lastFailureTime"))
    if last is None or failed < 1:
        return None
    return last + timedelta(hours=min(2 ** min(failed - 1, 5), 32))


def owner(secret_name: str, claimants: Sequence[Resource], secret: Resource | None) -> Resource:
    """Which of the Certificates with one `spec.secretName` may write it (cert-manager >= 1.14).

    The one that the Secret is annotated with, else the oldest, by name where they are of one age.
    """
    named = secret.annotation(CERTIFICATE_NAME) if secret is not None else ""
    oldest = sorted(claimants, key=lambda c: (c.created, c.name))
    return next((c for c in claimants if c.name == named), oldest[0])


def claimants(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    """Certificates by the namespace and name of the Secret they write."""
    return cluster.derive(_claimants)


def _claimants(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for certificate in cluster[kinds.CERTIFICATE]:
        if certificate.text("spec", "secretName"):
            found[certificate.namespace, certificate.text("spec", "secretName")].append(certificate)
    return found


def has_another_cause(certificate: Resource, cluster: Cluster) -> bool:
    """Whether a check of its own tells why this Certificate is not issued.

    That is an issuer that is missing or not ready, or a Secret that another Certificate owns.
    What cannot be seen counts as fine here: the finding then is about what can be seen.
    """
    of_secret = claimants(cluster)[certificate.namespace, certificate.text("spec", "secretName")]
    if len(of_secret) > 1:
        return True
    reference = issuer_of(certificate)
    if reference is None:
        return False
    try:
        issuer = lookup(reference, cluster)
    except OutOfView:
        return False
    return issuer is None or not_ready(issuer) is not None


# --- the chain: Certificate, CertificateRequest, Order, Challenge ------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """The deepest object of an issuance that says what holds it up."""

    field: Field
    root: Resource
    text: str
    because: tuple[Field, ...]


def failure(certificate: Resource, cluster: Cluster) -> Failure | None:
    """Where the present issuance of a Certificate stands still; None while all is well."""
    chain: list[tuple[Resource, Field, str]] = []
    for condition in ("Issuing", "Ready"):
        told = status.condition(certificate.at("status"), condition)
        if told is not None and told.text("status") == "False":
            chain.append((certificate, told.at("message"), _text(told)))
            break
    else:
        told = status.condition(certificate.at("status"), "Issuing")
        if told is None:
            return None
        chain.append((certificate, told.at("message"), _text(told)))
    request = current_request(certificate, cluster)
    if request is None:
        root, field, text = chain[-1]
        return Failure(field, root, f"{text}; there is no CertificateRequest of it", ())
    chain += _link(request, _request_trouble(request))
    order = _newest(owned(kinds.ORDER, request, cluster))
    if order is not None:
        chain += _link(order, _order_trouble(order))
        for challenge in owned(kinds.CHALLENGE, order, cluster):
            chain += _link(challenge, _challenge_trouble(challenge))
    root, field, text = chain[-1]
    above = tuple(spot for _, spot, _ in chain[:-1])
    return Failure(field, root, text, above)


def _link(resource: Resource, told: Field | None) -> list[tuple[Resource, Field, str]]:
    return [(resource, told, _text(told))] if told is not None else []


def _text(told: Field) -> str:
    """The words of a condition, or of the field itself, on one line and without a full stop."""
    words = told.text() or told.text("message") or told.text("reason")
    if told.path[-1] == "state":
        words = f"its Order is {words}"
    line = " ".join(words.split()).rstrip(" .:")
    return line if len(line) <= 300 else f"{line[:297]}..."


def current_request(certificate: Resource, cluster: Cluster) -> Resource | None:
    """The CertificateRequest of the issuance after `status.revision`, else the newest one."""
    requests = cluster.derive(_requests).get((certificate.namespace, certificate.name), ())
    wanted = str((certificate.number("status", "revision") or 0) + 1)
    revision = f"{GROUP}/certificate-revision"
    return next((r for r in requests if r.annotation(revision) == wanted), _newest(requests))


def _requests(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for request in cluster[kinds.CERTIFICATE_REQUEST]:
        found[request.namespace, request.annotation(CERTIFICATE_NAME)].append(request)
    return found


def owned(kind: Kind, by: Resource, cluster: Cluster) -> Sequence[Resource]:
    """The Orders of a CertificateRequest, or the Challenges of an Order."""
    index = cluster.derive(_orders if kind == kinds.ORDER else _challenges)
    return index.get((by.namespace, by.name), ())


def _orders(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    return _by_owner(cluster, kinds.ORDER, kinds.CERTIFICATE_REQUEST)


def _challenges(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    return _by_owner(cluster, kinds.CHALLENGE, kinds.ORDER)


def _by_owner(
    cluster: Cluster, kind: Kind, owner_kind: Kind
) -> Mapping[tuple[str, str], Sequence[Resource]]:
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for resource in cluster[kind]:
        for reference in resource.each("metadata", "ownerReferences"):
            if reference.text("kind") == owner_kind.name:
                found[resource.namespace, reference.text("name")].append(resource)
    return found


def _newest(resources: Sequence[Resource]) -> Resource | None:
    return max(resources, key=lambda r: (r.created, r.name), default=None)


def _request_trouble(request: Resource) -> Field | None:
    """A request has no generations: its conditions are always about itself."""
    for kind, value in (("Denied", "True"), ("InvalidRequest", "True"), ("Ready", "False")):
        told = status.condition(request.at("status"), kind)
        if told is not None and told.text("status") == value:
            return told
    return None


def _order_trouble(order: Resource) -> Field | None:
    if order.text("status", "state") in ("invalid", "expired", "errored"):
        told = order.at("status", "reason")
        return told if told.text() else order.at("status", "state")
    return None


def _challenge_trouble(challenge: Resource) -> Field | None:
    if challenge.text("status", "state") == "valid" or not challenge.text("status", "reason"):
        return None
    return challenge.at("status", "reason")


# --- ingress-shim and gateway-shim -------------------------------------------------------

SHIMMED = (kinds.INGRESS, kinds.GATEWAY)


def annotated(cluster: Cluster, kind: Kind) -> Iterator[Resource]:
    """The Ingresses or Gateways whose annotations ask cert-manager for certificates."""
    for resource in cluster[kind]:
        if resource.annotation(ISSUER) or resource.annotation(CLUSTER_ISSUER):
            yield resource


def shim_owner(certificate: Resource, cluster: Cluster) -> Resource | None:
    """The Ingress or Gateway that a shim made a Certificate for, where it can be seen."""
    for reference in certificate.each("metadata", "ownerReferences"):
        kind = Kind(reference.text("kind"), reference.text("apiVersion").rpartition("/")[0])
        if kind in SHIMMED:
            try:
                return cluster.get(kind, certificate.namespace, reference.text("name"))
            except OutOfView:
                return None
    return None


def controllers(cluster: Cluster) -> Iterator[tuple[Resource, Field]]:
    """The Pods of cert-manager's controller, each with its container."""
    for pod in cluster[kinds.POD_WHOLE]:
        for container in pod.each("spec", "containers"):
            if "cert-manager-controller" in container.text("image"):
                yield pod, container


def cluster_resource_namespace(cluster: Cluster) -> str:
    """Where the Secrets of ClusterIssuers are read from: `--cluster-resource-namespace`.

    By default the controller's own namespace, which is `cert-manager` in every manual.
    """
    try:
        found = next(controllers(cluster), None)
    except OutOfView:
        found = None
    if found is None:
        return "cert-manager"
    pod, container = found
    for argument in container.texts("args"):
        key, _, value = argument.partition("=")
        if key == "--cluster-resource-namespace" and value and not value.startswith("$("):
            return value
    return pod.namespace
