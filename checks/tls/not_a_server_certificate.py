"""A certificate that was made for something else."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials

_FOR_SERVERS = {"1.3.6.1.5.5.7.3.1", "2.5.29.37.0"}


class NotAServerCertificate(Probe):
    """A served certificate may not be used by a server: clients refuse it.

    An extended key usage that is there and lacks serverAuth forbids the use by a server; every
    client refuses it, while the server loads it gladly. It is what a client certificate looks
    like. A leaf with the CA bit that another authority issued is refused by Firefox and rustls.

    Not a problem without an extended key usage (all uses are allowed), for a self-signed
    certificate with the CA bit, which `openssl req -x509` makes by default, or where nothing serves
    the Secret.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -ext extendedKeyUsage,basicConstraints
    ```

    Source: RFC 5280 section 4.2.1.12; Go crypto/x509 Verify (ExtKeyUsageServerAuth by default).

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com], eku: [CLIENT_AUTH]}
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
        "certificate specifies an incompatible key usage",
        "unsupported certificate purpose",
        "SEC_ERROR_INADEQUATE_CERT_TYPE",
        "MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A leaf whose usages forbid servers, or that is an authority."""
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.leaf is None or shown.bundle is None or not shown.uses:
            return
        usages = set(shown.leaf.texts("usages"))
        fix, advice = shown.renewal("a certificate for servers (extended key usage serverAuth)")
        if usages and not usages & _FOR_SERVERS:
            message, severity = "is not for servers: its extended key usage lacks serverAuth", None
        elif shown.leaf.flag("isCA") and not shown.leaf.flag("selfSigned"):
            if certificates.leads_with_its_authority(shown.bundle):
                return
            message, severity = "is one of an authority (CA:TRUE)", Severity.MEDIUM
        else:
            return
        yield self.finding(
            secret.at("data", shown.bundle.key),
            f"the certificate of {certificates.label(shown.leaf)} {message}; {shown.users}",
            severity=severity,
            because=shown.because,
            fix=fix,
            advice=advice,
        )
