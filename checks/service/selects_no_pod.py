"""A selector that fits nobody."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, OutOfView, Probe, Resource, Severity, kinds
from gwdoctor.resolve import routed, services


class SelectsNoPod(Probe):
    """A routed Service answers 503: its selector matches no Pod.

    All labels of `spec.selector` must be on a Pod of the Service's own namespace. A label
    changed in a Deployment, a chart that adds `app.kubernetes.io/instance`, or a Deployment
    scaled to zero leave the Service without endpoints, and no controller says so.

    Not a problem for Services that nothing of the entry leads to, or without a selector. A
    Deployment may be scaled to zero on purpose (by KEDA, or Knative).

    ```sh
    kubectl -n NAMESPACE get endpointslice -l kubernetes.io/service-name=NAME
    kubectl -n NAMESPACE get pods --show-labels
    ```

    Source: Kubernetes core/v1 ServiceSpec.selector; pkg/controller/endpointslice.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {selector: {app: shop, tier: web}, ports: [{port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: shop-1, namespace: shop, labels: {app: shop, tier: frontend}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*routed.KINDS, kinds.POD, kinds.ENDPOINT_SLICE)
    symptoms = (
        "no healthy upstream",
        "failure to get a peer from the ring-balancer",
        "503 Service Unavailable",
        "503 Service Temporarily Unavailable",
        "503 UH no_healthy_upstream",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A routed Service whose selector fits no Pod of its namespace."""
        places = routed.places(cluster).get((service.namespace, service.name))
        selector = service.labels("spec", "selector")
        if not places or not selector or services.external_name(service):
            return
        if services.pods(cluster, service) or _has_endpoints(service, cluster):
            return
        nowhere = [
            f"{key}={value}"
            for key, value in sorted(selector.items())
            if not cluster.select(kinds.POD, {key: value}, service.namespace)
        ]
        labels = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
        yield self.finding(
            service.at("spec", "selector"),
            f"no Pod of namespace {service.namespace} has the labels {labels}"
            + (f"; none has {', '.join(nowhere)}" if nowhere and len(selector) > 1 else ""),
            root=service,
            because=tuple(field for field, _ in places),
            advice="Correct the selector to the labels of the Pods, or start the Pods (a Deployment "
            "scaled to zero, a rollout that fails)",
        )


def _has_endpoints(service: Resource, cluster: Cluster) -> bool:
    """Whether the endpoint controller found ready Pods: then it is we who did not see them."""
    try:
        return any(services.is_ready(e) for e in services.endpoints(cluster, service))
    except OutOfView:
        return False
