"""The chain from Certificate to Challenge, down to the object that knows."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import acme, cert_manager, certificates


class CertificateNotIssued(Probe):
    """cert-manager fails to issue or renew a certificate.

    A Certificate says only that it waits. The cause stands at the end of the chain Certificate,
    CertificateRequest, Order, Challenge, and this check reads it there. After a failure
    cert-manager waits an hour before it tries again, and twice as long after each further one,
    up to 32: mending the cause is not enough, the next try must come, or be asked for.

    Not a problem in the first ten minutes of an issuance, or while the conditions speak of an
    older generation. An issuer that is missing or not ready and a Secret with two owners are
    told by checks of their own.

    Check it yourself:

    ```sh
    cmctl status certificate NAME -n NAMESPACE
    kubectl get certificaterequests,orders,challenges -n NAMESPACE
    ```

    Source: cert-manager 1.21, internal/controller/certificates/policies; cmctl `status
    certificate`.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop, generation: 1}
    spec: {secretName: shop-tls, dnsNames: [shop.example.com], issuerRef: {name: letsencrypt}}
    status:
      conditions:
      - {type: Ready, status: "False", reason: DoesNotExist, message: Issuing certificate as Secret does not exist, observedGeneration: 1, lastTransitionTime: "2026-11-20T00:00:00Z"}
      - {type: Issuing, status: "True", reason: DoesNotExist, message: Issuing certificate as Secret does not exist, observedGeneration: 1, lastTransitionTime: "2026-11-20T00:00:00Z"}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: letsencrypt, namespace: shop}
    spec: {acme: {}}
    ---
    apiVersion: cert-manager.io/v1
    kind: CertificateRequest
    metadata:
      name: shop-1
      namespace: shop
      annotations: {cert-manager.io/certificate-name: shop, cert-manager.io/certificate-revision: "1"}
    status:
      conditions: [{type: Ready, status: "False", reason: Pending, message: Waiting on certificate issuance from order shop/shop-1-7}]
    ---
    apiVersion: acme.cert-manager.io/v1
    kind: Order
    metadata: {name: shop-1-7, namespace: shop, ownerReferences: [{kind: CertificateRequest, name: shop-1}]}
    status: {state: pending}
    ---
    apiVersion: acme.cert-manager.io/v1
    kind: Challenge
    metadata: {name: shop-1-7-9, namespace: shop, ownerReferences: [{kind: Order, name: shop-1-7}]}
    status:
      state: pending
      reason: "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'"
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    needs = (
        kinds.CERTIFICATE_REQUEST,
        kinds.ORDER,
        kinds.CHALLENGE,
        kinds.ISSUER,
        kinds.CLUSTER_ISSUER,
    )
    symptoms = (
        "The certificate request has failed to complete and will be retried",
        "Waiting for HTTP-01 challenge propagation",
        "Waiting for DNS-01 challenge propagation",
        "Failed to wait for order resource ... to become ready",
        "certificate has expired",
    )

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Not Ready, or an issuance that failed or does not come to an end."""
        if not cert_manager.is_stuck(certificate, cluster.now):
            return
        if cert_manager.has_another_cause(certificate, cluster):
            return
        failure = cert_manager.failure(certificate, cluster)
        if failure is None:
            return
        again = cert_manager.next_try(certificate)
        waits = again is not None and again > cluster.now
        when = f"; the next try is due at {again:%Y-%m-%d %H:%M} UTC" if waits else ""
        name = f"{certificate.namespace}/{certificate.name}"
        end = certificates.date(certificate.text("status", "notAfter"))
        ends = f"; the present certificate ends on {end}" if end else ""
        yield self.finding(
            failure.field,
            f"Certificate {name} is not issued: {failure.text}{ends}{when}",
            root=failure.root,
            severity=cert_manager.urgency(certificate, cluster.now),
            because=failure.because,
            fix=Fix(
                f"{acme.remedy(failure.text)}, then ask for a new try",
                commands=(cert_manager.renew_command(certificate),),
                needs_review=True,
            ),
        )
