"""The certificates of the entry, those that end first before the others."""

from __future__ import annotations

from datetime import timedelta

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import CertificateEnd, Named
from gwdoctor.resolve import certificates, credentials
from gwdoctor.resolve.request_backends import named, named_as

#: What it reads.
KINDS = (kinds.SECRET, *credentials.READS)


def of(cluster: Cluster) -> list[CertificateEnd]:
    """What is served or held to be served, by the end of its life; at last what is not seen."""
    found = [*_seen(cluster), *_unseen(cluster)]
    return sorted(found, key=lambda c: (c.notAfter or "~", c.secret.namespace, c.secret.name))


def _seen(cluster: Cluster) -> list[CertificateEnd]:
    found = []
    for secret in cluster.seen(kinds.SECRET):
        presented = credentials.presented(secret, cluster)
        if presented is None:
            continue
        end = CertificateEnd(named(secret), usedBy=_users(presented.uses))
        if presented.certificate is not None:
            end.writer = named(presented.certificate)
        leaf = presented.leaf
        if leaf is None:
            end.state = "no certificate could be read from it"
        else:
            left = certificates.days_left(leaf, cluster.now)
            end.notAfter = leaf.text("notAfter")
            end.daysLeft = None if left is None else left // timedelta(days=1)
            end.names = list(certificates.names(leaf))
        found.append(end)
    return found


def _unseen(cluster: Cluster) -> list[CertificateEnd]:
    """Secrets that something serves and that could not be looked at."""
    found = []
    for (namespace, name), uses in credentials.uses(cluster).items():
        try:
            if cluster.get(kinds.SECRET, namespace, name) is not None:
                continue
            state = "the Secret does not exist"
        except OutOfView as hidden:
            state = f"not seen: {hidden.gap.reason}"
        secret = named_as(kinds.SECRET, namespace, name, cluster)
        found.append(CertificateEnd(secret, state, usedBy=_users(tuple(uses))))
    return found


def _users(uses: tuple[certificates.CredentialUse, ...]) -> list[Named]:
    return [named(root) for root in {use.root.ref: use.root for use in uses}.values()]
