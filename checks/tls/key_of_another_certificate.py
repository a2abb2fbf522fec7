"""Renewed by half."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class KeyOfAnotherCertificate(Probe):
    """The private key in a Secret does not belong to its certificate.

    It happens when one of the two is replaced and not the other. The API server does not
    compare them, and Kong's controller even leaves its Gateway listener Programmed, as it only
    looks for PEM there; each controller drops the pair later, when it builds its configuration.
    What clients see is another certificate, or no handshake.

    Not a problem while nothing serves the Secret (told as low), and told apart from a chain
    whose first certificate is not the server's own (`tls/chain-out-of-order`).

    Check it yourself: the two sums must be equal.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -pubkey | sha256sum
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.key}' | base64 -d |
      openssl pkey -pubout | sha256sum
    ```

    Source: Go crypto/tls X509KeyPair; Kong's controller 3.5,
    internal/dataplane/translator/translate_certs.go and internal/controllers/gateway/gateway_utils.go.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], wrongKey: other}
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
        "failed to construct certificate from secret",
        "key values mismatch",
        "certificate does not match key",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The public half of the key is not that of the first certificate."""
        if secret.text("key") != "differs":
            return
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None:
            return
        if certificates.leads_with_its_authority(shown.bundle):
            return
        key = dict(certificates.PAIRS)[shown.bundle.key]
        fix, advice = shown.renewal("a certificate with its own key")
        yield self.finding(
            secret.at("data", key),
            f"{key} is not the key of the certificate of {certificates.label(shown.leaf)} in "
            f"{shown.bundle.key}; {shown.users}",
            severity=shown.severity(Severity.CRITICAL),
            because=shown.because,
            fix=fix,
            advice=advice,
        )
