"""Document 004's second remedy."""

import json
from collections.abc import Iterator
from shlex import quote

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds


class AnnotationWithoutEffect(Probe):
    """An annotation put on a certificate's Secret does nothing.

    `konghq.com/override` names a KongIngress and is read on Services; Kong's controller reads no
    annotation of a TLS Secret, so `secretTemplate` cannot make it reload one. It needs no
    help: it follows each change of a Secret that an Ingress or Gateway refers to (but not in
    2.8 to 2.12: `kong/controller-ignores-secret-updates`).

    Not a problem for labels, of which Kong does read some, for `konghq.com/tags`, for annotations of others such as
    reflector, or for the annotations that cert-manager itself writes.

    Check it yourself: the time of the Secret's last change against what Kong serves.

    ```sh
    kubectl get certificates -A -o json |
      jq -r '.items[] | select(.spec.secretTemplate.annotations // {} | keys | any(startswith("konghq.com/"))) | .metadata.namespace + "/" + .metadata.name'
    ```

    Source: Kong's controller 3.5, internal/annotations/annotations.go and
    internal/dataplane/kongstate; Kong issue 14270.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: ca}
      secretTemplate: {annotations: {konghq.com/override: "true"}}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: ca, namespace: shop}
    spec: {selfSigned: {}}
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Annotations of konghq.com in secretTemplate."""
        for key, field in certificate.entries("spec", "secretTemplate", "annotations"):
            if not key.startswith("konghq.com/") or key == "konghq.com/tags":
                continue
            pointer = (
                f"/spec/secretTemplate/annotations/{key.replace('~', '~0').replace('/', '~1')}"
            )
            patch = json.dumps([{"op": "remove", "path": pointer}], separators=(",", ":"))
            yield self.finding(
                field,
                f"{key} is copied to the Secret {certificate.text('spec', 'secretName')}, where "
                "Kong does not read it",
                root=certificate,
                fix=Fix(
                    "Take the annotation away",
                    commands=(
                        f"kubectl patch certificate {quote(certificate.name)} "
                        f"--namespace {quote(certificate.namespace)} --type json "
                        f"--patch {quote(patch)}",
                    ),
                ),
            )
