"""The certificate that a client is shown: is it there, does it fit the name and the time."""

from __future__ import annotations

from collections.abc import Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import State
from gwdoctor.model import Field, Kind, Ref, Resource
from gwdoctor.resolve import certificates, grants
from gwdoctor.resolve.gateway_api import Listener
from gwdoctor.walk.hops import Hop, missing, unseen
from gwdoctor.walk.request import Request

WHAT = "certificate"


def shown(references: Sequence[tuple[Field, str, str]], name: str, cluster: Cluster) -> list[Hop]:
    """The Secrets (reference, namespace, name) that one listener serves, for a name.

    Where one of several is right for the name, the others need not be.
    """
    found = [
        _hop(field, namespace, secret, name, cluster) for field, namespace, secret in references
    ]
    if len(found) > 1 and any(hop.state is State.OK for hop in found):
        return [hop for hop in found if hop.state is State.OK]
    return found


def _hop(field: Field, namespace: str, secret_name: str, name: str, cluster: Cluster) -> Hop:
    ref = Ref(kinds.SECRET, namespace, secret_name, "v1")
    try:
        secret = cluster.get(kinds.SECRET, namespace, secret_name)
    except OutOfView as hidden:
        return unseen(WHAT, hidden, ref)
    if secret is None:
        hop = missing(
            WHAT, kinds.SECRET, namespace, secret_name, field, "the Secret does not exist"
        )
        hop.spots += (*_entry(field), *_written_by(ref, cluster))
        return hop
    says, state = _judged(secret, name, cluster)
    return Hop(WHAT, says, secret, state, spots=(*_entry(field), *_written_by(ref, cluster)))


def _entry(field: Field) -> tuple[Field, ...]:
    """The reference; of an Ingress with the tls entry that it stands in, its hosts among it."""
    if field.ref.kind != kinds.INGRESS:
        return (field,)
    return (field, Field(field.ref, field.path[:3], None))


def _written_by(ref: Ref, cluster: Cluster) -> list[Resource]:
    """The cert-manager Certificate of a Secret: what ails it ails the certificate."""
    try:
        return [
            certificate
            for certificate in cluster.within(kinds.CERTIFICATE, ref.namespace)
            if certificate.text("spec", "secretName") == ref.name
        ]
    except OutOfView:
        return []


def _judged(secret: Resource, name: str, cluster: Cluster) -> tuple[str, State]:
    leaf = certificates.leaf_of(secret)
    if leaf is None:
        return "it holds no certificate that could be parsed", State.BROKEN
    end, begin = leaf.text("notAfter"), certificates.time_of(leaf.text("notBefore"))
    label = certificates.label(leaf)
    problems = []
    left = certificates.days_left(leaf, cluster.now)
    if left is not None and left.total_seconds() < 0:
        problems.append(f"it ended on {certificates.date(end)}")
    if begin is not None and begin > cluster.now:
        problems.append(f"it is not valid before {certificates.date(leaf.text('notBefore'))}")
    if name and not certificates.covers(leaf, name):
        names = certificates.names(leaf)
        told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        problems.append(f"it is for {told or 'no name'}, not for {name}")
    if secret.text("key") == "differs":
        problems.append("its private key belongs to another certificate")
    if problems:
        return f"{label}: {'; '.join(problems)}", State.BROKEN
    return f"{label}, until {certificates.date(end)}", State.OK


def of_listener(listener: Listener, request: Request, cluster: Cluster) -> list[Hop]:
    """The certificates of a listener that ends TLS."""
    spot = listener.field.at("tls")
    references = list(listener.field.each("tls", "certificateRefs"))
    if not references:
        options = listener.field.has("tls", "options")
        says = "the listener names none" + ("; its options may, to its controller" * options)
        return [Hop("certificate", says, spot, State.UNSEEN if options else State.BROKEN)]
    found: list[tuple[Field, str, str]] = []
    refused: list[Hop] = []
    owner = listener.owner
    for reference in references:
        kind = Kind(reference.text("kind") or "Secret", reference.text("group"))
        namespace = reference.text("namespace") or owner.namespace
        name = reference.text("name")
        if kind != kinds.SECRET:
            refused.append(
                Hop("certificate", f"{kind} {name} is not read", reference, State.UNSEEN)
            )
            continue
        try:
            granted = grants.permits(
                cluster, owner.ref.kind, owner.namespace, kinds.SECRET, namespace, name
            )
        except OutOfView as hidden:
            refused.append(unseen("grant", hidden))
            granted = True
        if not granted:
            says = f"no ReferenceGrant in {namespace} lets this {owner.ref.kind.name} use Secret {name}"
            refused.append(Hop("certificate", says, reference, State.BROKEN))
        found.append((reference, namespace, name))
    return [*refused, *shown(found, request.sni or request.host, cluster)]
