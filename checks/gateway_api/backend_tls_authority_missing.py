"""A BackendTLSPolicy whose authority is not there."""

from collections.abc import Callable, Iterator

from gwdoctor import Cluster, Field, Finding, Kind, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, status

_CONDITION = "Accepted"


class BackendTlsAuthorityMissing(Probe):
    """Requests get 5xx: the authority of the backend's certificate is lost.

    `caCertificateRefs` names ConfigMaps of the policy's own namespace with the authority under
    the key `ca.crt`. Secrets and ClusterTrustBundles are taken by some controllers. Without one
    usable reference the policy is refused and the connection to the backend fails.

    Not a problem with `wellKnownCACertificates: System`; under Envoy Gateway also where another
    key of the ConfigMap holds the certificate.

    ```sh
    kubectl get configmap NAME -n NAMESPACE -o jsonpath='{.data}'
    ```

    Source: gateway-api 1.6 conformance, backendtlspolicy-invalid-ca-certificate-ref
    (NoValidCACertificate); Envoy Gateway 1.9.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: web, namespace: app}
    spec:
      targetRefs: [{group: "", kind: Service, name: web}]
      validation:
        hostname: web.example.com
        caCertificateRefs: [{group: "", kind: ConfigMap, name: web-ca}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.BACKEND_TLS_POLICY,)
    needs = (kinds.CONFIG_MAP, kinds.GATEWAY_CLASS, *gateway_api.ROUTES)
    symptoms = ("NoValidCACertificate", "upstream connect error")

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """References without a certificate; worse where none of them has one."""
        references = list(policy.each("spec", "validation", "caCertificateRefs"))
        problems = [(spot, _problem(policy, spot, cluster)) for spot in references]
        bad = [(spot, problem) for spot, problem in problems if problem]
        if not bad or _is_content(policy):
            return
        users = [
            user
            for target in policy.each("spec", "targetRefs")
            for user in gateway_api.users_of_name(
                Kind(target.text("kind"), target.text("group")),
                policy.namespace,
                target.text("name"),
                cluster,
            )
        ]
        yield self.finding(
            bad[0][0],
            "; ".join(problem for _, problem in bad),
            severity=Severity.CRITICAL if len(bad) == len(references) else Severity.MEDIUM,
            because=(*(spot for spot, _ in bad[1:]), *users),
            advice="Make a ConfigMap with the authority of the backend under the key ca.crt, name "
            "one that exists, or use wellKnownCACertificates: System",
        )


def _is_content(policy: Resource) -> bool:
    return any(
        c is not None and c.text("status") == "True" and status.is_current(policy, c)
        for ancestor in policy.each("status", "ancestors")
        for c in (status.condition(ancestor, _CONDITION),)
    )


def _problem(policy: Resource, spot: Field, cluster: Cluster) -> str:
    group, kind, name = spot.text("group"), spot.text("kind"), spot.text("name")
    if (group, kind) in (("", "Secret"), ("certificates.k8s.io", "ClusterTrustBundle")):
        return ""  # up to the controller
    if group == "core" and kind in ("ConfigMap", "Secret") and _any(gateway_api.is_kong, cluster):
        return ""  # Kong's controller takes this spelling
    if (group, kind) != ("", "ConfigMap"):
        return f'kind {kind} of group "{group}" is no ConfigMap'
    found = cluster.get(kinds.CONFIG_MAP, policy.namespace, name)
    if found is None:
        return f"ConfigMap {policy.namespace}/{name} does not exist"
    texts = [found.text("data", "ca.crt")]
    if not texts[0] and _any(gateway_api.is_envoy_gateway, cluster):
        texts = [text.text() for _, text in found.entries("data")]
    if not any("BEGIN CERTIFICATE" in text for text in texts):
        return f"ConfigMap {policy.namespace}/{name} holds no certificate under ca.crt"
    return ""


def _any(family: Callable[[str], bool], cluster: Cluster) -> bool:
    return any(family(c.text("spec", "controllerName")) for c in cluster[kinds.GATEWAY_CLASS])
