"""A Service that somebody else should fill."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import routed, services


class WithoutSelectorOrEndpoints(Probe):
    """A routed Service answers 503: no selector, and no endpoints by hand.

    Without a selector nobody makes endpoints for a Service: an EndpointSlice with the label
    `kubernetes.io/service-name` must be made by hand or by an operator.

    Not a problem for type ExternalName, or for Services that nothing of the entry leads to.

    ```sh
    kubectl -n NAMESPACE get endpointslice -l kubernetes.io/service-name=NAME
    ```

    Source: Kubernetes core/v1 ServiceSpec.selector; discovery/v1 EndpointSlice.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: legacy, namespace: shop}
    spec: {ports: [{port: 80}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: legacy, namespace: shop}
    spec: {defaultBackend: {service: {name: legacy, port: {number: 80}}}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*routed.KINDS, kinds.ENDPOINT_SLICE)
    symptoms = (
        "no healthy upstream",
        "failure to get a peer from the ring-balancer",
        "503 Service Unavailable",
        "503 Service Temporarily Unavailable",
        "503 UH no_healthy_upstream",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A routed Service that neither selects Pods nor has an endpoint."""
        places = routed.places(cluster).get((service.namespace, service.name))
        if not places or service.labels("spec", "selector"):
            return
        if service.text("spec", "type") == "ExternalName" or services.endpoints(cluster, service):
            return
        yield self.finding(
            service.at("spec", "selector"),
            "this Service has no selector and no EndpointSlice with an endpoint",
            root=service,
            because=tuple(field for field, _ in places),
            advice="Give it a selector, or make an EndpointSlice labelled "
            f"kubernetes.io/service-name: {service.name} with the addresses behind it",
        )
