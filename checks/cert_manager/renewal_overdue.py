"""The plan is there, and nobody follows it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import cert_manager, certificates


class RenewalOverdue(Probe):
    """The planned renewal of a certificate has passed and nothing happens.

    cert-manager writes `status.renewalTime` and starts at that moment (condition Issuing).
    Where it does not, the controller does not run, has no leader, or does not watch this
    namespace; the gateway that goes on serving the old certificate is not the one at fault.

    Not a problem in the ten minutes after the planned time, while an issuance runs or waits after
    a failure (`cert-manager/certificate-not-issued`), or where the issuer is the cause.

    Check it yourself:

    ```sh
    kubectl get pods -A -l app.kubernetes.io/component=controller,app.kubernetes.io/name=cert-manager
    kubectl get lease -n kube-system cert-manager-controller -o jsonpath='{.spec.renewTime}'
    ```

    Source: cert-manager 1.21, pkg/controller/certificates/trigger and pkg/util/pki/renewaltime.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop, generation: 1}
    spec: {secretName: shop-tls, dnsNames: [shop.example.com], issuerRef: {name: ca}}
    status:
      notAfter: "2026-11-28T00:00:00Z"
      renewalTime: "2026-10-29T00:00:00Z"
      conditions:
      - {type: Ready, status: "True", reason: Ready, observedGeneration: 1}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: ca, namespace: shop}
    spec: {selfSigned: {}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    needs = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    symptoms = ("certificate has expired",)

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """renewalTime lies behind and no condition speaks of an issuance."""
        due = cert_manager.overdue_since(certificate, cluster.now)
        if due is None or cert_manager.has_another_cause(certificate, cluster):
            return
        end = certificates.date(certificate.text("status", "notAfter"))
        yield self.finding(
            certificate.at("status", "renewalTime"),
            f"the renewal was planned for {due:%Y-%m-%d %H:%M} UTC and has not begun; "
            f"the certificate ends on {end or 'an unknown day'}",
            severity=cert_manager.urgency(certificate, cluster.now),
            fix=Fix(
                "See that cert-manager runs and is the leader, then ask for the renewal",
                commands=(cert_manager.renew_command(certificate),),
                needs_review=True,
            ),
        )
