"""Document 004: the Secret holds one certificate, and clients are shown another."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Ref, Resource, Severity, kinds
from gwdoctor.evidence import shown
from gwdoctor.resolve import certificates, credentials, kong, kong_pods

#: Common names of the certificates that proxies make for themselves.
_DEFAULTS = (
    "localhost",  # Kong
    "Kubernetes Ingress Controller Fake Certificate",  # ingress-nginx
    "TRAEFIK DEFAULT CERT",
)
#: What is wrong with a certificate is wrong where the very same one is served.
_OF_THE_SAME = (
    *("tls/certificate-expired", "tls/certificate-expires-soon", "tls/certificate-not-yet-valid"),
    *("tls/host-not-covered", "tls/chain-incomplete", "tls/certificate-without-names"),
    *("tls/not-a-server-certificate", "tls/weak-key-or-signature"),
    *("cert-manager/certificate-not-issued", "cert-manager/renewal-overdue"),
)
_OF_ANOTHER = (
    *("kong/controller-ignores-secret-updates", "kong/default-certificate-not-reloaded"),
    *("kong/server-name-claimed-twice", "kong/listener-with-two-certificates"),
    *("kong/listener-status-outdated", "kong/controller-does-not-fit-proxy"),
    *("tls/key-of-another-certificate", "tls/secret-without-key-pair", "tls/secret-type-not-tls"),
    *("ingress/tls-secret-missing", "gateway-api/certificate-ref-missing"),
    *("gateway-api/reference-not-granted", "istio/credential-secret-missing"),
)


class ServedCertificateDiffers(Probe):
    """Clients are shown another certificate than the one in the Secret.

    A proxy keeps its own copy of a certificate. Where the Secret is renewed and the copy is not,
    the old one is served until it ends; where the new one cannot be used, a default certificate
    is, which no client trusts. `gwdoctor scan --probe tls` shakes hands for each host, with its
    SNI, and compares what is shown with the Secret: the same, an older one, that of another
    Secret, a default one. Fixes that are often recommended (`POST /certificates` to Kong, an
    annotation on the Secret, a plugin that reloads) do nothing or break more.

    Not a problem where something in front of the gateway ends TLS on purpose, with a certificate
    of its own: a CDN or a cloud's load balancer. Within the seconds after a renewal both are seen.

    Check it yourself:

    ```sh
    openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -serial -dates
    kubectl get secret -n NAMESPACE NAME -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -serial -dates
    ```

    Source: Kong/kubernetes-ingress-controller issues 6100 and 3184, Kong/kong#14270,
    envoyproxy/gateway#3496; observed, not inferred.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: pay, namespace: pay}
    spec:
      tls: [{hosts: [pay.example.com], secretName: pay-tls}]
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: pay-tls, namespace: pay}
    type: kubernetes.io/tls
    data: !cert {dns: [pay.example.com], days: 80}
    ---
    apiVersion: gwdoctor/v1
    kind: Handshake
    metadata: {name: seen-1, namespace: pay}
    purpose: entry
    host: pay.example.com
    address: 203.0.113.7 port 443
    owner:
      apiVersion: networking.k8s.io/v1
      kind: Ingress
      namespace: pay
      name: pay
      path: [spec, tls, 0, secretName]
    secret: {kind: Secret, namespace: pay, name: pay-tls}
    version: TLSv1.3
    certificates:
    - subject: CN=pay.example.com
      serial: 4f2a
      notBefore: "2026-08-28T12:00:00Z"
      notAfter: "2026-11-26T12:00:00Z"
      dnsNames: [pay.example.com]
      sha256: 0f
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.HANDSHAKE,)
    needs = (
        kinds.SECRET,
        kinds.CERTIFICATE,
        kinds.POD_WHOLE,
        kinds.INGRESS,
        kinds.INGRESS_CLASS,
        kinds.GATEWAY,
        kinds.GATEWAY_CLASS,
    )
    symptoms = (
        "certificate has expired",
        "NET::ERR_CERT_DATE_INVALID",
        "NET::ERR_CERT_AUTHORITY_INVALID",
        "Kubernetes Ingress Controller Fake Certificate",
    )

    def check(self, handshake: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One handshake against one Secret."""
        served, spot = shown.leaf(handshake), shown.owner(handshake, cluster)
        if served is None or spot is None or handshake.text("purpose") != "entry":
            return
        name = handshake.at("secret")
        secret = cluster.get(kinds.SECRET, name.text("namespace"), name.text("name"))
        wanted = certificates.leaf_of(secret) if secret is not None else None
        evidence = shown.quoted(handshake, spot.ref)
        concerns = tuple(_concerned(spot.ref, secret, cluster))
        if wanted is not None and wanted.text("sha256") == served.text("sha256"):
            yield self.finding(
                spot,
                f"{shown.place(handshake)} shows the certificate of the Secret",
                evidence=(evidence,),
                proves=_OF_THE_SAME,
                concerns=concerns,
                alone=False,
            )
            return
        what, severity = _difference(handshake, served, wanted, cluster)
        yield self.finding(
            spot,
            f"{shown.place(handshake)} {what}",
            root=cluster.find(spot.ref),
            severity=severity,
            because=(secret,) if secret is not None else (),
            evidence=(evidence,),
            proves=_OF_ANOTHER,
            concerns=concerns,
            marker=handshake.text("host"),
            advice="Look why the proxy does not take the Secret up: events and log of its "
            "controller (gwdoctor scan --logs), the key that must fit, who else claims the host. "
            "A restart of controller and proxy serves the new one once, and hides the cause",
        )


def _difference(
    handshake: Resource, served: Field, wanted: Field | None, cluster: Cluster
) -> tuple[str, Severity]:
    """What is shown instead, and how bad that is."""
    host = handshake.text("host")
    left = certificates.days_left(served, cluster.now)
    is_over = left is not None and left.total_seconds() <= 0
    unfit = is_over or bool(host and not certificates.covers(served, host))
    end = f"which {'ended' if is_over else 'ends'} on {certificates.date(served.text('notAfter'))}"
    if certificates.common_name(served) in _DEFAULTS:
        name = certificates.common_name(served)
        return f"shows the default certificate of its proxy ({name})", Severity.CRITICAL
    other = _secrets(cluster).get(served.text("sha256"))
    if other is not None:
        text = f"shows the certificate of Secret {other.namespace}/{other.name}, {end}"
        return text, Severity.CRITICAL if unfit else Severity.MEDIUM
    begun, renewed = served.text("notBefore"), wanted.text("notBefore") if wanted else ""
    if wanted is not None and begun and begun < renewed:
        text = (
            f"still shows the certificate of {certificates.date(begun)} (serial "
            f"{served.text('serial')}), {end}; the Secret holds one of {certificates.date(renewed)}"
        )
        return text, Severity.CRITICAL if unfit else Severity.HIGH
    text = f"shows a certificate that is not the one in the Secret: {certificates.label(served)}, {end}"
    return text, Severity.CRITICAL if unfit else Severity.MEDIUM


def _secrets(cluster: Cluster) -> Mapping[str, Resource]:
    """Secrets by what they serve."""
    found: dict[str, Resource] = {}
    for secret in cluster[kinds.SECRET]:
        leaf = certificates.leaf_of(secret)
        if leaf is not None and leaf.text("sha256"):
            found.setdefault(leaf.text("sha256"), secret)
    return found


def _concerned(owner: Ref, secret: Resource | None, cluster: Cluster) -> Iterator[Ref]:
    """The Secret, who writes it, and Kong's controllers where it is Kong that serves it."""
    if secret is not None:
        yield secret.ref
        certificate = credentials.writer(secret, cluster)
        if certificate is not None:
            yield certificate.ref
    is_kongs = any(ingress.ref == owner for ingress in kong.ingresses(cluster))
    if is_kongs or (owner.namespace, owner.name) in kong.gateways(cluster):
        for container in kong_pods.controllers(cluster):
            yield container.pod.ref
