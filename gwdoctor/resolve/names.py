"""Which hosts of a tls entry or listener none of its certificates covers.

Rule of the names: RFC 9525 section 6.3, as browsers and Go follow it (`hosts.san_covers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Path, Ref, Resource
from gwdoctor.resolve import certificates, credentials, hosts
from gwdoctor.resolve.certificates import CredentialUse


@dataclass(frozen=True, slots=True)
class Entry:
    """One tls entry, listener or server, and all the Secrets that it serves."""

    root: Resource
    uses: tuple[CredentialUse, ...]


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Hosts that an entry serves and that none of its certificates names."""

    hosts: tuple[str, ...]
    names: tuple[str, ...]  #: what the certificates do name
    certificates: tuple[Field, ...]
    writer: Resource | None  #: the cert-manager Certificate to which the hosts can be added
    covers_some_below: bool  #: each host is a wildcard, and names below it are covered


def entries(cluster: Cluster) -> Iterator[Entry]:
    """The uses of Secrets, those of one listener together: its certificates share the work."""
    uses = (use for of_one in credentials.uses(cluster).values() for use in of_one)
    for _, of_entry in groupby(sorted(uses, key=_place), key=_entry):
        found = tuple(of_entry)
        yield Entry(found[0].root, found)


def _entry(use: CredentialUse) -> tuple[Ref, Path]:
    """Object and place, up to the list of certificates."""
    path = use.field.path
    for lists in ("certificateRefs", "credentialNames"):
        if lists in path:
            return use.root.ref, path[: path.index(lists)]
    return use.root.ref, path


def _place(use: CredentialUse) -> tuple[Ref, tuple[str, ...]]:
    return use.root.ref, tuple(str(step).rjust(6, "0") for step in use.field.path)


def uncovered(entry: Entry, cluster: Cluster) -> Uncovered | None:
    """The hosts without a certificate, None where there are none or it cannot be said.

    It cannot where a certificate does not exist or cannot be parsed: others tell that. Raises
    OutOfView where a Secret cannot be seen.
    """
    secrets = [cluster.get(kinds.SECRET, use.namespace, use.name) for use in entry.uses]
    leaves = [certificates.leaf_of(secret) if secret else None for secret in secrets]
    known = [leaf for leaf in leaves if leaf is not None]
    if len(known) < len(leaves) or not known:
        return None
    if any(leaf.flag("extensionsUnread") or not certificates.names(leaf) for leaf in known):
        return None
    if any(leaf.flag("isCA") and not leaf.flag("selfSigned") for leaf in known):
        return None
    asked = dict.fromkeys(host for use in entry.uses for host in use.hosts)
    missing = [
        host
        for host in asked
        if host not in ("", "*") and not any(certificates.covers(leaf, host) for leaf in known)
    ]
    writers = [credentials.writer(secret, cluster) for secret in secrets if secret]
    ordered = [name for w in writers if w is not None for name in w.texts("spec", "dnsNames")]
    missing = [host for host in missing if not hosts.sans_cover(ordered, host)]
    if not missing:
        return None
    names = tuple(dict.fromkeys(name for leaf in known for name in certificates.names(leaf)))
    one = writers[0] if len(entry.uses) == 1 else None
    by_hand = one is not None and not any(one.each("metadata", "ownerReferences"))
    return Uncovered(
        tuple(missing),
        names,
        tuple(s.at("data", "tls.crt") for s in secrets if s),
        one if by_hand else None,
        all(_some_below(host, names) for host in missing),
    )


def _some_below(host: str, names: Iterable[str]) -> bool:
    if not host.startswith("*."):
        return False
    return any(name.lower().removeprefix("*").endswith(host[1:].lower()) for name in names)
