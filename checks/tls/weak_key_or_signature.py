"""Too weak for the libraries of today."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class WeakKeyOrSignature(Probe):
    """A served certificate is too weak for proxies to load or clients to take.

    Envoy takes RSA keys of 2048 bits and more and the curves P-256, P-384 and P-521, and rejects
    the whole listener otherwise. nginx and Kong with OpenSSL 3 answer `ee key too small` below
    112 bits of security. SHA-1 and MD5 signatures load, and clients refuse them.

    Not a problem for the signature of a self-signed root, which nobody verifies, or where nothing
    serves the Secret.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -text | grep -E 'Public-Key|Signature Algorithm'
    ```

    Source: Envoy source/common/tls/context_impl.cc; OpenSSL 3 SSL_CTX_set_security_level;
    CA/Browser Forum Baseline Requirements 6.1.5.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], key: rsa1024-weak}
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

    severity = Severity.HIGH
    subjects = (kinds.SECRET,)
    needs = credentials.READS
    symptoms = (
        "ee key too small",
        "only RSA certificates with 2048-bit or larger keys are supported",
        "NET::ERR_CERT_WEAK_SIGNATURE_ALGORITHM",
        "x509: cannot verify signature: insecure algorithm SHA1-RSA",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A short key or an old hash on the way from the leaf to its root."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.bundle is None or not shown.uses:
            return
        for certificate in certificates.path(shown.bundle.certificates):
            weakness = certificates.weakness(certificate)
            if not weakness:
                continue
            fix, advice = shown.renewal("a certificate with a key of RSA 2048 or P-256 at least")
            yield self.finding(
                secret.at("data", shown.bundle.key),
                f"the certificate of {certificates.label(certificate)} has a {weakness}; "
                f"{shown.users}",
                because=shown.because,
                fix=fix,
                advice=advice,
            )
            return
