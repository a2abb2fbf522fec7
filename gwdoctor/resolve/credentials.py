"""Which Secrets the entry serves, by which fields, for which hosts.

One list over Ingress, Gateway, ListenerSet and Istio Gateway, so that what is wrong with a
certificate is said once, on the Secret, with all that serve it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Fix, Resource, Severity
from gwdoctor.resolve import cert_manager, certificates, gateway_api, grants, istio_gateways
from gwdoctor.resolve.certificates import Bundle, CredentialUse

#: What `uses` reads.
USERS = (
    kinds.INGRESS,
    kinds.LISTENER_SET,
    kinds.REFERENCE_GRANT,
    *istio_gateways.GATEWAYS,
    *istio_gateways.READS,
)
#: What `presented` reads beside the Secret itself.
READS = (*USERS, kinds.CERTIFICATE)
_WRITTEN_BY = "cert-manager.io/certificate-name"
SECRET_NAME = tuple[str, str]


def uses(cluster: Cluster) -> Mapping[SECRET_NAME, Sequence[CredentialUse]]:
    """The uses of each Secret, by (namespace, name)."""
    return cluster.derive(_uses)


def _uses(cluster: Cluster) -> Mapping[SECRET_NAME, Sequence[CredentialUse]]:
    found: dict[SECRET_NAME, list[CredentialUse]] = defaultdict(list)
    for use in all_uses(cluster):
        found[use.namespace, use.name].append(use)
    return found


def all_uses(cluster: Cluster) -> Iterator[CredentialUse]:
    """Every use that can be seen. A kind of user that cannot be read is told by the engine."""
    for ingress in cluster.seen(kinds.INGRESS):
        yield from _of_ingress(ingress)
    grants_seen = cluster.sees(kinds.REFERENCE_GRANT)
    for kind in (kinds.GATEWAY, kinds.LISTENER_SET):
        for owner in cluster.seen(kind):
            for use in _of_listeners(owner):
                # grants that cannot be read: the reference is taken at its word
                if not grants_seen or grants.permits(
                    cluster, kind, owner.namespace, kinds.SECRET, use.namespace, use.name
                ):
                    yield use
    try:
        yield from tuple(istio_gateways.credentials(cluster))
    except OutOfView:  # the router Pods, of which the engine tells
        return


def _of_ingress(ingress: Resource) -> Iterator[CredentialUse]:
    """Ingress: the Secret stands in its own namespace."""
    for entry in ingress.each("spec", "tls"):
        name = entry.text("secretName")
        if name:
            hosts = entry.texts("hosts")
            yield CredentialUse(entry.at("secretName"), ingress, ingress.namespace, name, hosts)


def _of_listeners(owner: Resource) -> Iterator[CredentialUse]:
    """Gateway and ListenerSet: listeners that end TLS. Other kinds than Secret are left out."""
    for listener in gateway_api.listeners(owner):
        if listener.tls_mode != "Terminate":
            continue
        for reference in listener.field.each("tls", "certificateRefs"):
            name = reference.text("name")
            if not name or reference.text("group") or reference.text("kind") not in ("", "Secret"):
                continue
            namespace = reference.text("namespace") or owner.namespace
            hosts = (listener.hostname,) if listener.hostname else ()
            yield CredentialUse(reference.at("name"), owner, namespace, name, hosts)


def writer(secret: Resource, cluster: Cluster) -> Resource | None:
    """The cert-manager Certificate that writes a Secret, None where nothing is seen of one.

    cert-manager names it in an annotation of the Secret; a Secret that it has not written yet
    is found by `spec.secretName`.
    """
    candidates = cluster.derive(_certificates_by_secret).get((secret.namespace, secret.name), ())
    named = secret.annotation(_WRITTEN_BY)
    return next((c for c in candidates if c.name == named), next(iter(candidates), None))


def _certificates_by_secret(cluster: Cluster) -> Mapping[SECRET_NAME, Sequence[Resource]]:
    found: dict[SECRET_NAME, list[Resource]] = defaultdict(list)
    for certificate in cluster.seen(kinds.CERTIFICATE):
        found[certificate.namespace, certificate.text("spec", "secretName")].append(certificate)
    return found


@dataclass(frozen=True, slots=True)
class Presented:
    """A Secret that holds, or should hold, what a TLS server presents; and who presents it."""

    secret: Resource
    bundle: Bundle | None
    uses: tuple[CredentialUse, ...]
    certificate: Resource | None  #: the cert-manager Certificate that writes it

    @property
    def leaf(self) -> Field | None:
        """The certificate that clients see first; None where none could be parsed."""
        return self.bundle.leaf if self.bundle is not None else None

    @property
    def because(self) -> tuple[Field, ...]:
        """The fields that serve it."""
        return tuple(use.field for use in self.uses)

    @property
    def users(self) -> str:
        """Who serves it, for the end of a message."""
        roots = sorted({use.root.ref for use in self.uses})
        if not roots:
            return "nothing seen serves it"
        more = f" and {len(roots) - 1} more" if len(roots) > 1 else ""
        return f"served by {roots[0]}{more}"

    def severity(self, when_served: Severity) -> Severity:
        """What it costs: nothing now where nothing serves it."""
        return when_served if self.uses else Severity.LOW

    def renewal(self, what: str) -> tuple[Fix | None, str]:
        """The way to another certificate: a command for cert-manager, else advice that says how."""
        ref = self.secret.ref
        if self.certificate is not None:
            command = cert_manager.renew_command(self.certificate)
            return Fix(f"Let cert-manager issue {what}", commands=(command,), needs_review=True), ""
        return None, (
            f"Put {what} into the Secret: kubectl create secret tls {quote(ref.name)} "
            f"--namespace {quote(ref.namespace)} --cert=fullchain.pem --key=key.pem "
            "--dry-run=client --output=yaml | kubectl apply --server-side -f -"
        )


def presented(secret: Resource, cluster: Cluster) -> Presented | None:
    """A Secret as a server's credential; None for one that is none of the entry's business.

    Those are Secrets without users that hold a CA, or that are neither of type kubernetes.io/tls
    nor written by cert-manager.
    """
    return cluster.derive(_presented, secret)


def _presented(cluster: Cluster, secret: Resource) -> Presented | None:
    if secret.text("type").startswith("gateway.envoyproxy.io/"):
        return None  # Envoy Gateway's pointer to a server of certificates: it holds none itself
    found = tuple(uses(cluster).get((secret.namespace, secret.name), ()))
    bundle = certificates.served(secret)
    is_pair = secret.text("type") == "kubernetes.io/tls" or bool(secret.annotation(_WRITTEN_BY))
    if not found and (not is_pair or certificates.is_authority_only(secret)):
        return None
    return Presented(secret, bundle, found, writer(secret, cluster))
