"""A CA certificate verifies nothing by itself."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong, kong_annotations, kong_plugins

_VERIFY = "konghq.com/tls-verify"


class CaCertificatesWithoutTlsVerify(Probe):
    """Kong does not verify a backend although it is given CA certificates.

    Kong verifies backends only with `konghq.com/tls-verify: "true"` and protocol https or tls;
    CA certificates alone are left out, with an event on the Service. Anybody who can answer
    for the backend's address is believed.

    Not a problem where tls-verify is true (with a plain protocol that is
    kong/tls-options-without-tls-protocol), or where Kong does not enter the Service.

    ```sh
    kubectl get events -A | grep 'without TLS verification enabled'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata:
      name: shop
      namespace: shop
      annotations: {konghq.com/protocol: https, konghq.com/ca-certificates-secrets: ca}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 443}}}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = kong.ENTRY_KINDS
    symptoms = ("CA certificates requested for service without TLS verification enabled",)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """CA certificates on a Service that Kong enters without verifying."""
        named = [
            field
            for key in kong_plugins.CA_ANNOTATIONS
            if (field := service.at("metadata", "annotations", key)).text()
        ]
        verifies = kong_annotations.parse_bool(service.annotation(_VERIFY)) is True
        if not named or verifies or not kong.entries(service, cluster):
            return
        yield self.finding(
            named[0],
            "Kong leaves these CA certificates out: tls-verify is not on",
            root=service,
            because=tuple(named[1:]),
            advice="Either set konghq.com/tls-verify: true with konghq.com/protocol: https (and, "
            "unless the backend's certificate names the public hosts, konghq.com/preserve-host: "
            "false on the routes), or take the CA certificates away: nothing is verified now",
        )
