"""What will be an outage within two weeks, unless somebody renews it."""

from collections.abc import Iterator
from datetime import timedelta

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import cert_manager, certificates, credentials

_SOON = timedelta(days=14)


class CertificateExpiresSoon(Probe):
    """A certificate that is served expires within 14 days, and none renews it.

    The controllers of an entry never renew. Where cert-manager writes the Secret its own plan
    (`status.renewalTime`) decides and not the number of days: a certificate of 7 days that is
    renewed on the fifth is healthy at 3 days. For others that live for less than six weeks the
    last third of their life counts instead of the 14 days.

    Not a problem where cert-manager plans the renewal (if that is overdue or fails, it is told on
    the Certificate: `cert-manager/renewal-overdue`, `cert-manager/certificate-not-issued`), where
    nothing serves the Secret (told as low), or in the first two thirds of a short life.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -subject -checkend 1209600
    ```

    Source: RFC 5280 section 4.1.2.5; cert-manager 1.21, pkg/util/pki/renewaltime.go.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], from: -85, days: 5}
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
    symptoms = ("is about to expire",)

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The leaf ends within 14 days (or in its last third) and no renewal is planned."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None:
            return
        left = certificates.days_left(shown.leaf, cluster.now)
        if left is None or not timedelta() < left < _soon(shown.leaf):
            return
        if shown.certificate and cert_manager.is_planned_or_told(shown.certificate, cluster.now):
            return
        end = certificates.date(shown.leaf.text("notAfter"))
        fix, advice = shown.renewal("its successor")
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate of {certificates.label(shown.leaf)} expires on {end}, "
            f"in {certificates.in_days(left)}; {shown.users}",
            severity=shown.severity(Severity.HIGH),
            because=shown.because,
            fix=fix,
            advice=advice,
        )


def _soon(leaf: Field) -> timedelta:
    start = certificates.time_of(leaf.text("notBefore"))
    end = certificates.time_of(leaf.text("notAfter"))
    if start is None or end is None:
        return _SOON
    return min(_SOON, (end - start) / 3)
