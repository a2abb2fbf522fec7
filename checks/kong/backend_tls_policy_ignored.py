"""The standard way to say https, which Kong does not read by default."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, kong


class BackendTlsPolicyIgnored(Probe):
    """Kong speaks plain HTTP although a BackendTLSPolicy asks for TLS.

    Kong reads BackendTLSPolicy only with the feature gate `GatewayAlpha=true` (off by default)
    and only in version v1alpha3, which the standard channel of Gateway API 1.4 and later does
    not serve. Otherwise the policy is ignored without an event or a status. The annotation
    `konghq.com/protocol: https` on the Service works everywhere.

    Not a problem where Kong has written its status on the policy, and not known where no
    controller has written any status yet (files, a fresh cluster).

    ```sh
    kubectl -n NAMESPACE get backendtlspolicy NAME -o jsonpath='{.status.ancestors[*].controllerName}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/manager/featuregates (3.5);
    Kong/kong-operator#5129.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: shop, namespace: shop}
    spec:
      targetRefs: [{group: "", kind: Service, name: shop}]
      validation: {hostname: shop.internal, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {ports: [{port: 443}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: shop, namespace: shop}
    spec: {parentRefs: [{name: kong}], rules: [{backendRefs: [{name: shop, port: 443}]}]}
    status:
      parents: [{controllerName: konghq.com/kic-gateway-controller, parentRef: {name: kong}}]
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: kong, namespace: shop}
    spec: {gatewayClassName: kong, listeners: [{name: http, protocol: HTTP, port: 80}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata: {annotations: {konghq.com/protocol: https}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.LIKELY
    subjects = (kinds.BACKEND_TLS_POLICY,)
    needs = (kinds.SERVICE, *kong.ENTRY_KINDS)
    symptoms = (
        "Client sent an HTTP request to an HTTPS server",
        "tls: first record does not look like a TLS handshake",
        "readv() failed (104: Connection reset by peer) while reading upstream",
    )

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A policy without a word of Kong's, on a Service whose routes have one."""
        if any(
            gateway_api.is_kong(ancestor.text("controllerName"))
            for ancestor in policy.each("status", "ancestors")
        ):
            return
        for target in policy.each("spec", "targetRefs"):
            if target.text("kind") != "Service":
                continue
            service = cluster.get(kinds.SERVICE, policy.namespace, target.text("name"))
            if service is None or service.annotation(kong.PROTOCOL):
                continue
            entries = kong.entries(service, cluster)
            if not any(_kong_spoke(entry.route) for entry in entries):
                continue
            yield self.finding(
                target,
                f"Kong has put no status on this policy and speaks plain HTTP to Service "
                f"{service.name}",
                root=policy,
                because=tuple(dict.fromkeys(entry.field for entry in entries)),
                fix=Fix(
                    "Say https on the Service, which Kong reads without a feature gate",
                    tuple(
                        s.changed("metadata", "annotations", kong.PROTOCOL, to="https")
                        for s in kong.siblings(service, cluster)
                    ),
                    needs_review=True,
                ),
            )


def _kong_spoke(route: Resource) -> bool:
    """Whether Kong's controller has run since the route was made."""
    return any(
        gateway_api.is_kong(parent.text("controllerName"))
        for parent in route.each("status", "parents")
    )
