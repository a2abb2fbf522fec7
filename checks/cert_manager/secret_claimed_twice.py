"""Two authors of one Secret."""

from collections.abc import Iterator, Sequence

from gwdoctor import Cluster, Confidence, Finding, OutOfView, Probe, Resource, Severity, Skip, kinds
from gwdoctor.resolve import cert_manager


class SecretClaimedTwice(Probe):
    """Two Certificates write one Secret: one is never issued or renewed.

    Since cert-manager 1.14 only the owner writes: the Certificate that the Secret is annotated
    with (`cert-manager.io/certificate-name`), else the oldest. The others stay Ready False,
    IncorrectCertificate. Before 1.14 they overwrote each other's Secret without end, each time with a
    new request. This is what stood behind many "the gateway does not pick up the renewed
    certificate": the Secret was never rewritten.

    Not a problem for equal names in different namespaces.

    Check it yourself:

    ```sh
    kubectl get certificates -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,SECRET:.spec.secretName
    ```

    Source: cert-manager 1.21, internal/controller/certificates/certificates.go
    (CertificateOwnsSecret).

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec: {secretName: shop-tls, dnsNames: [shop.example.com], issuerRef: {name: ca}}
    ---
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop-www, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec: {secretName: shop-tls, dnsNames: [www.shop.example.com], issuerRef: {name: ca}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: ca, namespace: shop}
    spec: {selfSigned: {}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    needs = (kinds.SECRET,)
    symptoms = ("you might have two conflicting Certificates pointing to the same secret",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Each Certificate that is not the owner of its Secret."""
        for (namespace, name), claimants in cert_manager.claimants(cluster).items():
            if len(claimants) < 2:
                continue
            owner = _owner(namespace, name, claimants, cluster)
            for certificate in claimants:
                if certificate is owner:
                    continue
                yield self.finding(
                    certificate.at("spec", "secretName"),
                    f"the Secret {name} belongs to the Certificate {owner.name}: cert-manager "
                    f"does not write {_names(certificate)} into it",
                    because=(owner.at("spec", "secretName"),),
                    advice=f"Give {certificate.name} a Secret of its own and point its users "
                    f"there, or add its dnsNames to {owner.name} and delete it",
                )


def _owner(namespace: str, name: str, claimants: Sequence[Resource], cluster: Cluster) -> Resource:
    try:
        secret = cluster.get(kinds.SECRET, namespace, name)
    except OutOfView:  # then the oldest is the best guess, and either way one is not issued
        secret = None
    return cert_manager.owner(name, claimants, secret)


def _names(certificate: Resource) -> str:
    names = certificate.texts("spec", "dnsNames")
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "") if names else "its certificate"
