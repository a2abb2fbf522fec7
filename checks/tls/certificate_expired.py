"""The most common outage of them all."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class CertificateExpired(Probe):
    """A certificate that is served has expired: clients refuse the connection.

    Servers go on presenting an expired certificate without a word; the client is the one who
    refuses it. No controller of an entry looks at the dates: listeners stay Programmed and
    Ready, and only cert-manager, where it writes the Secret, reports it, on its own Certificate.

    Not a problem where nothing serves the Secret (told as low: it is litter, or about to be
    used), and not looked at in Secrets that hold only authorities.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -subject -enddate
    ```

    Source: RFC 5280 section 4.1.2.5.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], days: -3}
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
        "certificate has expired",
        "NET::ERR_CERT_DATE_INVALID",
        "SEC_ERROR_EXPIRED_CERTIFICATE",
        "x509: certificate has expired or is not yet valid",
        "CERT_HAS_EXPIRED",
        "curl: (60) SSL certificate problem: certificate has expired",
        "tls: expired certificate",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """notAfter of the leaf has passed."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None:
            return
        left = certificates.days_left(shown.leaf, cluster.now)
        if left is None or left.total_seconds() > 0:
            return
        end = certificates.date(shown.leaf.text("notAfter"))
        fix, advice = shown.renewal("a certificate that is valid")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate of {certificates.label(shown.leaf)} expired on {end}; {shown.users}",
            severity=shown.severity(Severity.CRITICAL),
            because=shown.because,
            fix=fix,
            advice=advice,
        )
