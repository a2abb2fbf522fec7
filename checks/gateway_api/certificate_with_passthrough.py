"""A certificate for a handshake that the gateway does not take part in."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api


class CertificateWithPassthrough(Probe):
    """The certificate of this listener is not used: TLS passes through.

    With `tls.mode: Passthrough` the backend takes part in the handshake and shows its own
    certificate. `certificateRefs` are then ignored by some controllers and refused by others:
    Envoy Gateway does not program the listener.

    Not a problem with mode Terminate.

    ```sh
    openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -subject
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go (ListenerTLSConfig); Envoy Gateway 1.9.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - name: tls
        port: 443
        protocol: TLS
        tls: {mode: Passthrough, certificateRefs: [{name: edge}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Passthrough and certificateRefs."""
        for listener in gateway_api.listeners(owner):
            references = listener.field.at("tls", "certificateRefs")
            if listener.tls_mode != "Passthrough" or not any(references.each()):
                continue
            content = gateway_api.is_accepted(listener, "Programmed")
            yield self.finding(
                references,
                f"listener {listener.name} passes TLS through and names a certificate",
                severity=Severity.LOW if content else Severity.HIGH,
                advice="Decide who ends TLS: take certificateRefs away, or use mode Terminate",
            )
