"""TLS without a certificate."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, OutOfView, Probe, Resource, Severity, kinds


class TlsSecretMissing(Probe):
    """Browsers refuse the hosts of an Ingress: its TLS Secret does not exist.

    The Secret must be in the **namespace of the Ingress**. The route works without it, only
    with the controller's built-in certificate: `CN=localhost, O=Kong` from Kong, `Kubernetes
    Ingress Controller Fake Certificate` from ingress-nginx.

    Not a problem where a cert-manager Certificate of the namespace is about to write the
    Secret (its own checks tell when it cannot), or for a cert-manager solver Ingress.

    ```sh
    kubectl -n NAMESPACE get secret NAME
    curl -kvI https://HOST/ 2>&1 | grep subject:
    ```

    Source: KIC internal/dataplane/translator/translate_certs.go (3.5);
    ingress-nginx controller getBackendServers/createServers (1.15).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      tls: [{hosts: [shop.example.com], secretName: shop-tls}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    needs = (kinds.SECRET, kinds.CERTIFICATE)
    symptoms = (
        "local SSL certificate was not found. Using default certificate",
        "Failed to fetch the secret",
        "Kubernetes Ingress Controller Fake Certificate",
        "CN=localhost",
        "NET::ERR_CERT_AUTHORITY_INVALID",
        "SEC_ERROR_UNKNOWN_ISSUER",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Entries whose Secret is not there and that nobody is about to write."""
        for entry in subject.each("spec", "tls"):
            name = entry.text("secretName")
            if not name:
                continue
            if cluster.get(kinds.SECRET, subject.namespace, name) is not None:
                continue
            if (subject.namespace, name) in cluster.derive(_to_be_written):
                continue
            elsewhere = sorted(
                s.namespace
                for s in cluster.derive(_secrets_by_name).get(name, ())
                if s.namespace != subject.namespace
            )
            hosts = ", ".join(entry.texts("hosts")) or "all hosts"
            yield self.finding(
                entry.at("secretName"),
                f"there is no Secret {name} in namespace {subject.namespace}: {hosts} is served "
                "with the controller's own certificate"
                + (f" (there is one in {', '.join(elsewhere[:3])})" if elsewhere else ""),
                root=subject,
                advice="Copy the Secret into this namespace, or have cert-manager make it here: "
                "an Ingress reads Secrets of its own namespace only"
                if elsewhere
                else "Make the Secret (kubectl create secret tls), or a cert-manager Certificate "
                "with this secretName; a wrong name is the usual cause",
            )


def _to_be_written(cluster: Cluster) -> frozenset[tuple[str, str]]:
    """Secrets that a Certificate names; where Certificates cannot be seen, none is known."""
    try:
        certificates = cluster[kinds.CERTIFICATE]
    except OutOfView:
        return frozenset()
    return frozenset((c.namespace, c.text("spec", "secretName")) for c in certificates)


def _secrets_by_name(cluster: Cluster) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for secret in cluster[kinds.SECRET]:
        found.setdefault(secret.name, []).append(secret)
    return found
