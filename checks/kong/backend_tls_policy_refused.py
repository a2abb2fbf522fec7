"""Parts of BackendTLSPolicy that Kong does not know."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong


class BackendTlsPolicyRefused(Probe):
    """Kong refuses a BackendTLSPolicy and speaks plain HTTP to the backend.

    Kong takes CA certificates from Secrets and ConfigMaps (with its own `id` key and label)
    only. It knows neither `subjectAltNames` nor `wellKnownCACertificates`, and it refuses
    **both** of two policies that target one Service, where the standard lets the older win.

    Not a problem for Services that Kong does not enter, or where the Service carries
    `konghq.com/protocol` anyway and verification is not wanted.

    ```sh
    kubectl -n NAMESPACE get backendtlspolicy NAME -o jsonpath='{.status.ancestors[*].conditions}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/controllers/gateway (3.5), BackendTLSPolicy.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: shop, namespace: shop}
    spec:
      targetRefs: [{group: "", kind: Service, name: shop}]
      validation: {hostname: shop.internal, wellKnownCACertificates: System}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {ports: [{port: 443}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 443}}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.LIKELY
    subjects = (kinds.BACKEND_TLS_POLICY,)
    needs = (kinds.SERVICE, *kong.ENTRY_KINDS)
    symptoms = (
        "Multiple BackendTLSPolicies target the same service",
        "SubjectAltNames feature is not currently supported",
        "WellKnownCACertificates feature is not currently supported",
        "Client sent an HTTP request to an HTTPS server",
        "tls: first record does not look like a TLS handshake",
    )

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """What Kong does not take, on a policy of a Service that Kong enters."""
        routed = [
            target
            for target in policy.each("spec", "targetRefs")
            if target.text("kind") == "Service" and _enters(policy, target, cluster)
        ]
        if not routed:
            return
        for part in ("subjectAltNames", "wellKnownCACertificates"):
            field = policy.at("spec", "validation", part)
            if field.value:
                yield self.finding(
                    field,
                    f"Kong does not support {part} and refuses the policy",
                    root=policy,
                    because=tuple(routed),
                    advice="Name CA certificates in caCertificateRefs, or configure the Service "
                    "with konghq.com/protocol, tls-verify and ca-certificates-secrets instead",
                )
        for target in routed:
            key = (policy.namespace, target.text("name"))
            others = [p for p in kong.tls_policies(cluster).get(key, ()) if p != policy]
            if others:
                yield self.finding(
                    target,
                    f"{', '.join(str(p.ref) for p in others)} targets Service {key[1]} too: "
                    "Kong refuses all of them",
                    root=policy,
                    because=tuple(others),
                    advice="Keep one of the policies",
                )


def _enters(policy: Resource, target: Field, cluster: Cluster) -> bool:
    service = cluster.get(kinds.SERVICE, policy.namespace, target.text("name"))
    return service is not None and bool(kong.entries(service, cluster))
