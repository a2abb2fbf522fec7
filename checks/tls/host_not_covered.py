"""The right door, the wrong name plate."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, OutOfView, Probe, Severity, Skip, kinds
from gwdoctor.resolve import credentials, names


class HostNotCovered(Probe):
    """A host is served with a certificate that does not name it.

    A wildcard stands for exactly one label: `*.example.com` covers `www.example.com`, neither
    `example.com` nor `a.b.example.com`. Kong and Envoy serve the certificate for the host all
    the same, and the browser refuses it; ingress-nginx serves its own "Fake Certificate".

    Not a problem where another certificateRef of the same listener covers the host, where the
    listener or tls entry names no host, where a certificate covers some names under a wildcard
    host (`tls` for `*.example.com` with `a.example.com`: told as low), or while cert-manager
    is about to write the name (`cert-manager/certificate-not-issued` tells when that fails).

    Check it yourself:

    ```sh
    openssl s_client -connect GATEWAY_IP:443 -servername HOST </dev/null 2>/dev/null |
      openssl x509 -noout -checkhost HOST
    ```

    Source: RFC 9525 section 6.3; ingress-nginx 1.15 internal/ingress/controller/controller.go.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata:
      name: shop-tls
      namespace: shop
      annotations: {cert-manager.io/certificate-name: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [example.com, www.example.com]}
    ---
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [example.com, www.example.com]
      issuerRef: {name: letsencrypt, kind: ClusterIssuer}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      tls: [{hosts: [example.com, api.example.com], secretName: shop-tls}]
      rules: [{host: example.com}, {host: api.example.com}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
    ```

    ```yaml fixed
    kind: Certificate
    spec:
      dnsNames: [example.com, www.example.com, api.example.com]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SECRET,)
    needs = credentials.READS
    symptoms = (
        "NET::ERR_CERT_COMMON_NAME_INVALID",
        "SSL: no alternative certificate subject name matches target host name",
        "SSL_ERROR_BAD_CERT_DOMAIN",
        "x509: certificate is valid for",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "curl: (60) SSL: no alternative certificate subject name matches target host name",
        "x509: certificate is not valid for any names",
        "Hostname/IP does not match certificate's altnames",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Each tls entry or listener with all the certificates it serves."""
        cluster[kinds.SECRET]  # none can be read at all: one skip, not one an entry
        for entry in names.entries(cluster):
            try:
                uncovered = names.uncovered(entry, cluster)
            except OutOfView as hidden:
                yield self.skip(hidden, entry.root)
                continue
            if uncovered is None:
                continue
            only_some = uncovered.covers_some_below
            shown = ", ".join(uncovered.names[:4]) + (" ..." if len(uncovered.names) > 4 else "")
            hosts = ", ".join(uncovered.hosts)
            yield self.finding(
                entry.uses[0].field,
                f"{hosts} {'is' if len(uncovered.hosts) == 1 else 'are'} served with "
                f"{entry.uses[0].name}, a certificate for {shown}",
                root=entry.root,
                severity=Severity.LOW if only_some else Severity.CRITICAL,
                because=uncovered.certificates,
                fix=_fix(uncovered),
                advice=""
                if uncovered.writer
                else f"Let a certificate be issued that names {hosts}, or take these hosts "
                "out of this entry",
            )


def _fix(uncovered: names.Uncovered) -> Fix | None:
    certificate = uncovered.writer
    if certificate is None:
        return None
    wanted = [*certificate.texts("spec", "dnsNames"), *uncovered.hosts]
    return Fix(
        f"Let cert-manager put {', '.join(uncovered.hosts)} into the certificate",
        (certificate.changed("spec", "dnsNames", to=wanted),),
        needs_review=True,
    )
