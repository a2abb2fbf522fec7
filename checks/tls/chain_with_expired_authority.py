"""The leaf is fine, its parent is not."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials


class ChainWithExpiredAuthority(Probe):
    """An authority in the chain that a server sends has expired.

    A certificate is worth no more than what signed it: clients that follow the chain as it is
    sent refuse it although the server's own certificate is valid for long. Some find another
    way to a root they trust, so it fails for some clients and not for others.

    Not a problem for authorities in the bundle that are not part of the way from the server's
    certificate to its root, and low where nothing serves the Secret.

    Check it yourself:

    ```sh
    openssl s_client -connect HOST:443 -servername HOST -showcerts </dev/null 2>/dev/null |
      awk '/BEGIN CERT/{c++} {print > ("chain-" c ".pem")}'
    for f in chain-*.pem; do openssl x509 -in "$f" -noout -subject -enddate; done
    ```

    Source: RFC 5280 section 6.1.3.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert
      {dns: [shop.example.com], chain: [{cn: Test CA, ca: true, key: ca-Test CA, issuer: Root, days: -10}]}
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
    confidence = Confidence.CERTAIN
    subjects = (kinds.SECRET,)
    needs = credentials.READS
    symptoms = ("certificate has expired", "x509: certificate has expired or is not yet valid")

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A certificate on the way from the leaf to its root is past its end."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.bundle is None:
            return
        for authority in certificates.path(shown.bundle.certificates)[1:]:
            left = certificates.days_left(authority, cluster.now)
            if left is None or left.total_seconds() > 0:
                continue
            end = certificates.date(authority.text("notAfter"))
            fix, advice = shown.renewal("a certificate of an authority that is valid")
            yield self.finding(
                secret.at("data", shown.bundle.key),
                f"the authority {certificates.common_name(authority)} in {shown.bundle.key} "
                f"expired on {end}; {shown.users}",
                severity=shown.severity(Severity.HIGH),
                because=shown.because,
                fix=fix,
                advice=advice,
            )
            return
