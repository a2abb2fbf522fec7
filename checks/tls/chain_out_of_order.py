"""The right certificates, the wrong one first."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class ChainOutOfOrder(Probe):
    """The first certificate of a Secret is an authority, not the server's own.

    Servers take the first block of `tls.crt` for their own certificate and compare the key with
    it. With the intermediate in front the key "does not match", and the pair is dropped. The
    order of the blocks after the first does not matter to clients of today.

    Not a problem where the bundle holds authorities only and nothing serves it.

    Check it yourself: the first subject must be the server's.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl crl2pkcs7 -nocrl -certfile /dev/stdin | openssl pkcs7 -print_certs -noout
    ```

    Source: RFC 8446 section 4.4.2 (the sender's certificate comes first); Go crypto/tls
    X509KeyPair.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert
      {cn: Test CA, ca: true, key: ca-Test CA, issuer: Root, wrongKey: leaf, chain: [{dns: [shop.example.com]}]}
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
        "tls: private key does not match public key",
        "key values mismatch",
        "SEC_ERROR_UNKNOWN_ISSUER",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An authority first, and what it issued behind it."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None:
            return
        if not certificates.leads_with_its_authority(shown.bundle):
            return
        own = certificates.first_server_certificate(shown.bundle)
        fix, advice = shown.renewal("the same certificates with the server's own first")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"{shown.bundle.key} begins with the authority "
            f"{certificates.common_name(shown.leaf)}, and the certificate of "
            f"{certificates.label(own) if own else 'the server'} comes after it; {shown.users}",
            severity=shown.severity(Severity.CRITICAL),
            because=shown.because,
            fix=fix,
            advice=advice,
        )
