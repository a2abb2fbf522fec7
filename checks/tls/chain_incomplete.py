"""Works in the browser, fails in curl."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class ChainIncomplete(Probe):
    """A server sends its certificate without the intermediate that issued it.

    Browsers fetch or remember missing intermediates, so the site looks healthy; curl, Java, Go,
    Python and most phones do not, and refuse it. The root itself need not be sent: a certificate
    that a private root issued directly is complete alone.

    Not a problem where the issuer is among the certificates sent, where it is a root (the one
    in `ca.crt`, if there is one), or where a single certificate comes from an authority that is
    not known to issue through intermediates.

    Check it yourself: `verify error:num=20` or 21 means that the intermediate is missing.

    ```sh
    openssl s_client -connect HOST:443 -servername HOST </dev/null 2>&1 | grep -i verif
    ```

    Source: RFC 8446 section 4.4.2; CA/Browser Forum Baseline Requirements 6.1.7 (public roots
    issue no server certificates).

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], issuer: R11, issuerOrg: Let's Encrypt}
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
        "unable to get local issuer certificate",
        "unable to verify the first certificate",
        "x509: certificate signed by unknown authority",
        "PKIX path building failed",
        "NET::ERR_CERT_AUTHORITY_INVALID",
        "SEC_ERROR_UNKNOWN_ISSUER",
        "curl: (60) SSL certificate problem: unable to get local issuer certificate",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The issuer of the leaf is not sent although it is no root."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None or not shown.uses:
            return
        missing = certificates.missing_issuer(shown.bundle, secret)
        if not missing:
            return
        fix, advice = shown.renewal("the certificate followed by its intermediates")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate of {certificates.label(shown.leaf)} is sent without its issuer "
            f"{certificates.issuer_name(shown.leaf)}, {missing}; {shown.users}",
            because=shown.because,
            fix=fix,
            advice=advice,
        )
