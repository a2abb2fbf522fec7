"""A renewal that would begin before the certificate does."""

from collections.abc import Iterator
from datetime import timedelta

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import cert_manager, certificates

_DEFAULT_DURATION = timedelta(hours=2160)


class RenewBeforeTooLong(Probe):
    """renewBefore is longer than the certificate lives.

    Against `spec.duration` (2160h by default) the webhook refuses it, so it stands only in
    manifests, or where the webhook was away. Against the life that the issuer really gave,
    which may be far shorter than was asked for, cert-manager drops renewBefore without a word and
    renews after two thirds of it. Authorities shorten lives: 90 days become 45.

    Not a problem for `renewBeforePercentage`, which follows the real life.

    Check it yourself:

    ```sh
    kubectl get certificate NAME -n NAMESPACE -o jsonpath='{.spec.renewBefore} {.status.notBefore} {.status.notAfter}'
    ```

    Source: cert-manager 1.21, internal/apis/certmanager/validation/certificate.go and
    pkg/util/pki/renewaltime.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: ca}
      duration: 24h
      renewBefore: 48h
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: ca, namespace: shop}
    spec: {selfSigned: {}}
    ```

    ```yaml fixed
    kind: Certificate
    spec: {renewBefore: 8h}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    symptoms = ("must be less than duration",)

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """renewBefore against the life that is asked for, then the one that was given."""
        before = cert_manager.duration(certificate.text("spec", "renewBefore"))
        if before is None:
            return
        asked = cert_manager.duration(certificate.text("spec", "duration")) or _DEFAULT_DURATION
        given = _life(certificate)
        if before >= asked:
            life, what, severity = asked, "the duration that is asked for", Severity.MEDIUM
        elif given is not None and before >= given:
            life, what, severity = given, "the life that the issuer gave", Severity.LOW
        else:
            return
        hours = max(int(life / timedelta(hours=3)), 1)
        yield self.finding(
            certificate.at("spec", "renewBefore"),
            f"renewBefore {certificate.text('spec', 'renewBefore')} is not shorter than {what}, "
            f"{_hours(life)}",
            severity=severity,
            fix=Fix(
                "Renew in the last third of that life",
                (certificate.changed("spec", "renewBefore", to=f"{hours}h"),),
                needs_review=True,
            ),
        )


def _life(certificate: Resource) -> timedelta | None:
    start = certificates.time_of(certificate.text("status", "notBefore"))
    end = certificates.time_of(certificate.text("status", "notAfter"))
    return end - start if start is not None and end is not None else None


def _hours(span: timedelta) -> str:
    return f"{int(span / timedelta(hours=1))}h"
