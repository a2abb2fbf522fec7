"""A common name is not a name any more."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class CertificateWithoutNames(Probe):
    """A certificate names its host in the common name only: clients refuse it.

    Clients compare the host with the subjectAltName extension and nothing else: Chrome since
    58, Go since 1.15, Firefox and Java likewise. `openssl req -x509 -subj /CN=host` writes no
    such extension, and OpenSSL's own client is the last to accept the result.

    Not a problem for client certificates, or where nothing serves the Secret.

    Check it yourself: nothing is printed.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -ext subjectAltName
    ```

    Source: RFC 9525 section 6.3; Go crypto/x509 VerifyHostname.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {cn: shop.example.com}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      tls: [{hosts: [shop.example.com], secretName: shop-tls}]
      rules: [{host: shop.example.com}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SECRET,)
    needs = credentials.READS
    symptoms = (
        "NET::ERR_CERT_COMMON_NAME_INVALID",
        "certificate relies on legacy Common Name field, use SANs instead",
        "no alternative certificate subject name matches",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A leaf that is served and has neither DNS names nor addresses."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None or not shown.uses:
            return
        if certificates.names(shown.leaf) or shown.leaf.flag("extensionsUnread"):
            return
        if certificates.leads_with_its_authority(shown.bundle):
            return
        fix, advice = shown.renewal("a certificate with subjectAltName entries")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate {certificates.common_name(shown.leaf)} has no subjectAltName; "
            f"{shown.users}",
            because=shown.because,
            fix=fix,
            advice=advice,
        )
