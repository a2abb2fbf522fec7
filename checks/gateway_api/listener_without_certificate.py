"""An HTTPS listener that has nothing to show."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api

#: Controllers that find certificates elsewhere.
_OWN_CERTIFICATES = ("gateway.k8s.aws/", "networking.gke.io/", "alb.networking.azure.io/")


class ListenerWithoutCertificate(Probe):
    """https:// fails on this listener: it has no certificate.

    An HTTPS listener ends TLS and needs `tls.certificateRefs`. The API server admits one without
    `tls`, and one with `tls.options` alone, which only controllers with certificates of their own
    can serve.

    Not a problem where the controller accepted the listener, or gets certificates elsewhere.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.status.listeners[*].conditions}'
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go; Envoy Gateway 1.9 ("Listener must have TLS
    set when protocol is HTTPS").

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: https, port: 443, protocol: HTTPS}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    needs = (kinds.GATEWAY_CLASS,)
    symptoms = (
        "Connection reset by peer",
        "ERR_CONNECTION_RESET",
        "InvalidCertificateRef",
    )

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """HTTPS listeners without tls; without certificateRefs where the controller needs them."""
        bare = [
            listener
            for listener in gateway_api.listeners(owner)
            if listener.protocol == "HTTPS"
            and listener.tls_mode == "Terminate"
            and not any(listener.field.each("tls", "certificateRefs"))
            and not gateway_api.is_accepted(listener, "Programmed")
        ]
        if not bare:
            return
        gateway = gateway_api.gateway_of(owner, cluster)
        controller = gateway_api.controller(gateway, cluster) if gateway is not None else ""
        if controller.startswith(_OWN_CERTIFICATES):
            return
        demanding = gateway_api.is_envoy_gateway(controller)
        for listener in bare:
            if listener.field.has("tls", "options") and not demanding:
                continue
            yield self.finding(
                listener.field,
                f"listener {listener.name} has protocol HTTPS and no tls.certificateRefs",
                advice="Name a Secret of type kubernetes.io/tls in tls.certificateRefs, or use "
                "protocol HTTP where something in front ends TLS",
            )
