"""What stands in the Secret cannot be served by anybody."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, credentials
from gwdoctor.resolve.credentials import Presented

_KEY = {
    "missing": "is missing or empty",
    "unreadable": "holds no private key in PEM",
    "encrypted": "holds a private key under a passphrase, which no controller can ask for",
}


class SecretWithoutKeyPair(Probe):
    """A Secret that is to be served holds no certificate or no private key.

    The API server asks a Secret of type kubernetes.io/tls for the keys `tls.crt` and `tls.key`
    and looks at neither: an empty value, DER, base64 inside base64 or a key in the place of the
    certificate are all accepted. The controller drops it, in most cases with a log line only,
    and clients get another certificate (Kong's built-in `CN=localhost`, ingress-nginx's "Fake
    Certificate") or, with Istio and Envoy Gateway, no connection.

    Not a problem in Secrets that hold only authorities (`ca.crt` alone), and low where nothing
    serves the Secret. Istio also reads `cert` and `key`; nothing else does.

    Check it yourself: both must print without an error.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -subject
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.key}' | base64 -d |
      openssl pkey -noout
    ```

    Source: Kubernetes pkg/apis/core/validation (ValidateSecret); Go crypto/tls X509KeyPair, which
    Kong's controller 3.5, Envoy Gateway 1.9, istiod 1.32 and ingress-nginx 1.15 call.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    stringData: {tls.crt: "-----BEGIN CERTIFICATE-----", tls.key: changeme}
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
        "failed to construct certificate from secret",
        "does not contain a valid SSL certificate",
        "tls: failed to find any PEM data",
        "Kubernetes Ingress Controller Fake Certificate",
        "InvalidCertificateRef",
        "ERR_CONNECTION_RESET",
    )

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """No leaf that parses, or no private key."""
        shown = credentials.presented(secret, cluster)
        if shown is None:
            return
        key, problem = _problem(shown)
        if not problem:
            return
        fix, advice = shown.renewal("a certificate with its key")
        yield self.finding(
            secret.at("data", key),
            f"{key} {problem}; {shown.users}",
            severity=shown.severity(Severity.CRITICAL),
            because=shown.because,
            fix=fix,
            advice=advice,
        )


def _problem(shown: Presented) -> tuple[str, str]:
    """The data key at fault and what is wrong with it; empty strings where all is well."""
    secret, bundle = shown.secret, shown.bundle
    only_istio = bool(shown.uses) and all(
        use.root.ref.kind == kinds.ISTIO_GATEWAY for use in shown.uses
    )
    if bundle is None or (bundle.key != "tls.crt" and not only_istio):
        names = ", ".join(secret.texts("keys")) or "no data"
        return (
            "tls.crt",
            f"is {'empty' if 'tls.crt' in secret.texts('emptyKeys') else 'missing'}"
            + ("" if "tls.crt" in secret.texts("keys") else f" (there is {names})"),
        )
    if bundle.leaf is None:
        return bundle.key, bundle.problem
    if bundle.problem.startswith("holds a CERTIFICATE block"):
        return bundle.key, bundle.problem
    key = dict(certificates.PAIRS)[bundle.key]
    return key, _KEY.get(secret.text("key"), "")
