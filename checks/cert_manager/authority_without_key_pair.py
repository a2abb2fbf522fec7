"""The CA issuer's own certificate."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import authorities, cert_manager, issuers


class AuthorityWithoutKeyPair(Probe):
    """A CA issuer has no key pair to sign with: nothing is issued or renewed.

    An Issuer reads `spec.ca.secretName` in its own namespace, a ClusterIssuer in the namespace
    of cert-manager itself (`--cluster-resource-namespace`), not in that of the Certificate. The
    certificate there must be an authority (CA:TRUE).

    Not a problem where cert-manager says Ready True about the issuer as it is now.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n cert-manager -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -subject -enddate -ext basicConstraints
    ```

    Source: cert-manager 1.21, pkg/issuer/ca/setup.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: company-ca}
    spec: {ca: {secretName: root-ca}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: root-ca, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {cn: Root, issuer: self, ca: true, key: root}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    needs = (kinds.CERTIFICATE, kinds.SECRET, kinds.POD_WHOLE)
    symptoms = ("Error getting keypair for CA issuer", "certificate is not a CA", "ErrGetKeyPair")

    def check(self, issuer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The Secret is missing where it is looked for, or holds no authority."""
        trouble = authorities.trouble(issuer, cluster)
        if trouble is None:
            return
        waiting = issuers.customers(cluster).get(
            (issuer.ref.kind, issuer.namespace, issuer.name), ()
        )
        told = cert_manager.not_ready(issuer)
        yield self.finding(
            issuer.at("spec", "ca", "secretName"),
            trouble.message,
            severity=max(
                (cert_manager.urgency(c, cluster.now) for c in waiting), default=Severity.MEDIUM
            ),
            confidence=Confidence.CERTAIN if told is not None else Confidence.LIKELY,
            because=(*trouble.because, *waiting),
            advice=f"Put the authority's certificate and key into Secret {trouble.place}, "
            "or name the Secret that holds them",
        )
