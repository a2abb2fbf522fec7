"""A clock that is ahead, or a certificate put in place too early."""

from collections.abc import Iterator
from datetime import timedelta

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials

#: The clocks of an authority and of this machine may differ by so much.
_SKEW = timedelta(minutes=5)


class CertificateNotYetValid(Probe):
    """A certificate that is served is not valid yet: clients refuse it.

    A certificate is refused before its notBefore as it is after its notAfter, with the same
    error text in most clients. It comes from an issuing machine whose clock is ahead, or from
    a certificate that was put in place before its day.

    Not a problem within five minutes of notBefore, where clocks may differ, and not urgent
    where nothing serves the Secret.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -subject -startdate
    ```

    Source: RFC 5280 section 4.1.2.5.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], from: 30}
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
        "certificate is not yet valid",
        "NET::ERR_CERT_DATE_INVALID",
        "x509: certificate has expired or is not yet valid",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """notBefore of the leaf lies ahead."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None:
            return
        start = certificates.time_of(shown.leaf.text("notBefore"))
        if start is None or start <= cluster.now + _SKEW:
            return
        day = certificates.date(shown.leaf.text("notBefore"))
        fix, advice = shown.renewal("a certificate that is valid now")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate of {certificates.label(shown.leaf)} is valid from {day} on; "
            f"{shown.users}",
            severity=shown.severity(Severity.CRITICAL),
            because=shown.because,
            fix=fix,
            advice=advice,
        )
