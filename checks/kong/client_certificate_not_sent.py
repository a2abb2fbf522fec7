"""Kong's own certificate towards a backend."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong

_KEY = "konghq.com/client-cert"


class ClientCertificateNotSent(Probe):
    """A backend that asks for a client certificate gets none from Kong.

    `konghq.com/client-cert` names a TLS Secret of the Service's namespace, and counts only
    with protocol https or tls. Otherwise Kong connects without a certificate and says so in an
    event on the Service.

    Not a problem on a Service that Kong does not enter.

    ```sh
    kubectl get events -A | grep 'Client certificate requested'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/client-cert: shop-client}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-client, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [kong.shop]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 443}}}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata: {annotations: {konghq.com/protocol: https}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, kinds.SECRET)
    symptoms = (
        "Client certificate requested for incompatible service protocol",
        "400 No required SSL certificate was sent",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A client certificate on a plain Service, or one that does not exist."""
        field = service.at("metadata", "annotations", _KEY)
        if not field.text() or not kong.entries(service, cluster):
            return
        if kong.protocol(service) not in kong.TLS_PROTOCOLS:
            yield self.finding(
                field,
                f"Kong speaks {kong.protocol(service)} to this Service and sends no certificate",
                root=service,
                fix=Fix(
                    "Speak HTTPS to this backend",
                    tuple(
                        s.changed("metadata", "annotations", kong.PROTOCOL, to="https")
                        for s in kong.siblings(service, cluster)
                    ),
                    needs_review=True,
                ),
            )
        elif cluster.get(kinds.SECRET, service.namespace, field.text()) is None:
            yield self.finding(
                field,
                f"there is no Secret {field.text()} in namespace {service.namespace}",
                root=service,
                advice="Make the Secret beside the Service, or correct the name",
            )
