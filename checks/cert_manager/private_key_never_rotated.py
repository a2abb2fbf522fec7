"""One key for ever."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds


class PrivateKeyNeverRotated(Probe):
    """Every renewal of this certificate keeps the old private key.

    A key that leaked once stays good for all later certificates. `Never` was the default until
    cert-manager 1.18, and is `Always` since. With `Never`, cert-manager also cannot follow a
    change of `spec.privateKey`: it waits for somebody to delete the Secret.

    Not a problem where clients pin the key on purpose: then this is what you want.

    Check it yourself:

    ```sh
    kubectl get certificates -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,ROTATION:.spec.privateKey.rotationPolicy
    ```

    Source: cert-manager 1.18 release notes (DefaultPrivateKeyRotationPolicyAlways).

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: ca}
      privateKey: {rotationPolicy: Never}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: ca, namespace: shop}
    spec: {selfSigned: {}}
    ```

    ```yaml fixed
    kind: Certificate
    spec: {privateKey: {rotationPolicy: Always}}
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    symptoms = ("CannotRegenerateKey", "User intervention required")

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """rotationPolicy says Never."""
        policy = certificate.at("spec", "privateKey", "rotationPolicy")
        if policy.text() != "Never":
            return
        yield self.finding(
            policy,
            "rotationPolicy Never keeps one private key over all renewals",
            fix=Fix(
                "Make a new key at each renewal",
                (certificate.changed("spec", "privateKey", "rotationPolicy", to="Always"),),
                needs_review=True,
            ),
        )
