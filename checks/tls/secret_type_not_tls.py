"""The right content under the wrong label."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import credentials, gateway_api, status
from gwdoctor.resolve.certificates import CredentialUse


class SecretTypeNotTls(Probe):
    """Some controllers refuse a Secret that is not of type kubernetes.io/tls.

    Gateway API asks for a Secret of type kubernetes.io/tls: a listener that refers to another
    type has ResolvedRefs False, InvalidCertificateRef. For Ingress, Kong and ingress-nginx look
    at the keys only and serve it. The type of a Secret cannot be changed; it is made anew.

    Not a problem for Istio Gateways, whose `credentialName` may be an Opaque Secret, and for a
    listener whose controller says ResolvedRefs True about the present generation.

    Check it yourself:

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.type}'
    ```

    Source: gateway-api apis/v1 and its conformance suite 1.6 (GatewayInvalidTLSConfiguration);
    Envoy Gateway 1.9 internal/gatewayapi.

    ```yaml bad
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: Opaque
    data: !cert {dns: [shop.example.com]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: shop, namespace: shop}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: shop-tls}]}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SECRET,)
    needs = credentials.READS
    symptoms = ("InvalidCertificateRef",)

    def check(self, secret: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Another type, and users that look at it."""
        kind = secret.text("type")
        if kind == "kubernetes.io/tls":
            return
        shown = credentials.presented(secret, cluster)
        if shown is None or shown.bundle is None or shown.bundle.key != "tls.crt":
            return
        if shown.leaf is None or secret.text("key") != "matches":
            return
        users = [use for use in shown.uses if use.root.ref.kind != kinds.ISTIO_GATEWAY]
        listeners = [use for use in users if use.root.ref.kind != kinds.INGRESS]
        refusing = [use for use in listeners if not _is_resolved(use)]
        if not users or (listeners and not refusing and len(listeners) == len(users)):
            return
        yield self.finding(
            secret.at("type"),
            f"the Secret is of type {kind or 'Opaque'}, not kubernetes.io/tls; {shown.users}",
            severity=Severity.HIGH if refusing else Severity.LOW,
            because=tuple(use.field for use in refusing or users),
            advice="Make the Secret anew with type kubernetes.io/tls (the type of one that "
            f"exists cannot be changed): delete {secret.name} and create it with "
            "kubectl create secret tls; between the two it is missing",
        )


def _is_resolved(use: CredentialUse) -> bool:
    """Whether the listener's controller has accepted the reference, of late."""
    owner = use.root
    index = use.field.path[2]
    for listener in gateway_api.listeners(owner):
        if listener.field.path[-1] != index:
            continue
        for told in owner.each("status", "listeners"):
            if told.text("name") == listener.name:
                return status.says(owner, told, "ResolvedRefs", "True") is not None
    return False
