"""Two Secrets for one SNI. Document 004 meets it as a renewed certificate that is not served."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import (
    Cluster,
    Confidence,
    Field,
    Finding,
    OutOfView,
    Probe,
    Resource,
    Severity,
    Skip,
    kinds,
)
from gwdoctor.resolve import certificates, gateway_api, ingress, kong


@dataclass(frozen=True, slots=True)
class _Claim:
    """A host and the Secret that one object wants it served with."""

    rank: int  #: 0 for Ingresses, which win over Gateways (1)
    owner: Resource
    field: Field
    namespace: str
    name: str


class ServerNameClaimedTwice(Probe):
    """Kong serves a host with another Secret than the one that is asked for.

    Kong has one certificate for a server name. Where two Secrets claim a host, the **oldest
    Ingress** keeps it, Ingresses win over Gateways, and between two Gateways the choice may
    change with each push. There is a log line and no event. The loser's Secret can be renewed
    as often as one likes: it is never served.

    Not a problem where both Secrets hold the same certificate, for different classes (which
    are different Kongs), or for Gateways that the Kong operator gives proxies of their own.

    ```sh
    openssl s_client -connect KONG:443 -servername HOST </dev/null 2>/dev/null | openssl x509 -noout -serial
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator/translate_certs.go,
    mergeCerts (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: legacy, namespace: shop, creationTimestamp: "2023-01-01T00:00:00Z"}
    spec: {ingressClassName: kong, tls: [{hosts: [shop.example.com], secretName: legacy}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, creationTimestamp: "2025-01-01T00:00:00Z"}
    spec: {ingressClassName: kong, tls: [{hosts: [shop.example.com], secretName: shop-tls}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.INGRESS, kinds.GATEWAY)
    needs = (kinds.INGRESS_CLASS, kinds.GATEWAY_CLASS, kinds.SECRET)
    symptoms = (
        "Same SNI requested for multiple certs, can only serve one cert",
        "NET::ERR_CERT_COMMON_NAME_INVALID",
        "certificate has expired",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Claims grouped by Kong and host; the first one is served."""
        groups: dict[tuple[str, str], list[_Claim]] = defaultdict(list)
        of_ingresses: dict[str, list[tuple[str, _Claim]]] = defaultdict(list)
        try:
            for owner, host, claim in _of_ingresses(cluster):
                of_ingresses[owner].append((host, claim))
        except OutOfView as hidden:
            yield self.skip(hidden)
        try:
            gateways = list(_of_gateways(cluster))
        except OutOfView as hidden:
            yield self.skip(hidden)
            gateways = []
        for owner, told in of_ingresses.items():
            for host, claim in told:
                groups[owner, host].append(claim)
        shared = next(iter(of_ingresses)) if len(of_ingresses) == 1 else ""
        for host, claim in gateways:
            groups[shared, host].append(claim)
        for (_, host), claims in groups.items():
            yield from self._compare(host, claims, cluster)

    def _compare(self, host: str, claims: list[_Claim], cluster: Cluster) -> Iterator[Finding]:
        first, *rest = sorted(claims, key=lambda c: (c.rank, c.owner.created, c.owner.ref))
        for claim in rest:
            if claim.owner.ref == first.owner.ref or _is_same(claim, first, cluster):
                continue
            served = f"Secret {first.namespace}/{first.name} of {first.owner.ref}"
            both_gateways = first.rank == 1
            yield self.finding(
                claim.field,
                f"{host} is also claimed by {served}, and which one is served may change"
                if both_gateways
                else f"{host} is served with {served}, never with {claim.name}",
                root=claim.owner,
                confidence=Confidence.LIKELY,
                marker=host,
                because=(first.field,),
                advice="Name the same Secret in both places, or take the host out of one of them",
            )


def _of_ingresses(cluster: Cluster) -> Iterator[tuple[str, str, _Claim]]:
    for subject in kong.ingresses(cluster):
        owner = ingress.served_class(subject, cluster, ingress.KONG)
        for entry in subject.each("spec", "tls"):
            name = entry.text("secretName")
            for host in entry.texts("hosts") if name else ():
                field = entry.at("secretName")
                yield owner, host.lower(), _Claim(0, subject, field, subject.namespace, name)


def _of_gateways(cluster: Cluster) -> Iterator[tuple[str, _Claim]]:
    known = kong.gateways(cluster)
    for gateway in cluster[kinds.GATEWAY]:
        if (gateway.namespace, gateway.name) not in known or not _is_unmanaged(gateway, cluster):
            continue
        for listener in gateway_api.listeners(gateway):
            references = list(listener.field.each("tls", "certificateRefs"))
            if listener.tls_mode != "Terminate" or len(references) != 1:
                continue
            field = references[0]
            namespace = field.text("namespace") or gateway.namespace
            claim = _Claim(1, gateway, field, namespace, field.text("name"))
            yield listener.hostname.lower() or "*", claim


def _is_unmanaged(gateway: Resource, cluster: Cluster) -> bool:
    found = cluster.get(kinds.GATEWAY_CLASS, "", gateway.text("spec", "gatewayClassName"))
    return found is not None and bool(found.annotation("konghq.com/gatewayclass-unmanaged"))


def _is_same(one: _Claim, other: _Claim, cluster: Cluster) -> bool:
    """The same Secret, or a copy of its certificate (KIC merges those)."""
    if (one.namespace, one.name) == (other.namespace, other.name):
        return True
    leaves = []
    for claim in (one, other):
        try:
            secret = cluster.get(kinds.SECRET, claim.namespace, claim.name)
        except OutOfView:
            return False
        leaf = certificates.leaf_of(secret) if secret is not None else None
        leaves.append(leaf.text("sha256") if leaf is not None else "")
    return bool(leaves[0]) and leaves[0] == leaves[1]
