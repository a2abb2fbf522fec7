"""CA certificates that Kong refuses."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong_plugins


class CaCertificateUnusable(Probe):
    """Kong cannot verify a backend: it refuses the CA certificate.

    A Secret or ConfigMap with the label `konghq.com/ca-cert: "true"` must hold the key `id` (a
    UUID), and under `cert` or `ca.crt` **exactly one** PEM certificate, which is a CA and has
    not expired. A bundle of two is refused. Backends that are to be verified with it answer
    502.

    Not a problem for CA certificates without that label, which are not Kong's. One that no
    Service names may still serve a plugin (mtls-auth), and is reported one step lower.

    ```sh
    kubectl -n NAMESPACE get secret NAME -o jsonpath='{.data.cert}' | base64 -d | openssl x509 -noout -text
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator, toCACerts (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: ca, namespace: shop, labels: {konghq.com/ca-cert: "true"}}
    data: !cert {cn: Internal CA, issuer: self, ca: true, keys: [cert, unused]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SECRET, kinds.CONFIG_MAP)
    needs = (kinds.SERVICE,)
    symptoms = (
        "missing 'id' field in data",
        'neither "cert" nor "ca.crt" key exist',
        "multiple PEM certificates found",
        "certificate is missing the 'CA' basic constraint",
        "unable to get upstream TLS CA store",
        "upstream SSL certificate verify error",
    )

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """What Kong finds wrong with one of its CA certificates."""
        if not kong_plugins.is_ca(holder):
            return
        wrong = list(kong_plugins.ca_problems(holder, cluster))
        if not wrong:
            return
        key = (holder.ref.kind, holder.namespace, holder.name)
        users = kong_plugins.ca_users(cluster).get(key, ())
        field, problem = wrong[0]
        yield self.finding(
            field,
            f"Kong refuses this CA certificate: {problem}",
            root=holder,
            severity=Severity.HIGH if users else Severity.MEDIUM,
            because=tuple(users),
            advice="Make the object anew with id (a UUID) and one valid CA certificate under "
            "ca.crt; one object for each certificate of a bundle",
        )
