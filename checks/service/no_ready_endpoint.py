"""Pods, but none that takes traffic."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import routed, services


class NoReadyEndpoint(Probe):
    """A routed Service answers 503: none of its endpoints is ready.

    Proxies send requests to ready endpoints only. A readiness probe on the wrong port, path or
    scheme (HTTP to a TLS port) keeps a healthy program out, as does one that asks a database
    that is down.

    Not a problem while at least one endpoint is ready, or still serves while it ends. An
    endpoint whose readiness is not known counts as ready.

    ```sh
    kubectl -n NAMESPACE get endpointslice -l kubernetes.io/service-name=NAME -o yaml
    kubectl -n NAMESPACE describe pod POD | grep -A3 Readiness
    ```

    Source: Kubernetes discovery/v1 EndpointConditions.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {selector: {app: shop}, ports: [{port: 80}]}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: shop-1, namespace: shop, labels: {kubernetes.io/service-name: shop}}
    addressType: IPv4
    ports: [{name: "", port: 80}]
    endpoints:
    - {addresses: [10.0.0.1], conditions: {ready: false}, targetRef: {kind: Pod, name: shop-1}}
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
    needs = (*routed.KINDS, kinds.ENDPOINT_SLICE)
    symptoms = (
        "no healthy upstream",
        "failure to get a peer from the ring-balancer",
        "503 Service Unavailable",
        "503 Service Temporarily Unavailable",
        "503 UH no_healthy_upstream",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A routed Service with endpoints, none of which takes requests."""
        places = routed.places(cluster).get((service.namespace, service.name))
        if not places:
            return
        endpoints = services.endpoints(cluster, service)
        if not endpoints or any(map(services.still_serves, endpoints)):
            return
        pods = sorted({e.text("targetRef", "name") for e in endpoints} - {""})
        yield self.finding(
            service.at("spec", "selector"),
            f"none of its {len(endpoints)} endpoints is ready"
            + (f": {', '.join(pods[:3])}{' ...' if len(pods) > 3 else ''}" if pods else ""),
            root=service,
            because=(
                *(e.at("conditions", "ready") for e in endpoints[:10]),
                *(f for f, _ in places),
            ),
            advice="See why the Pods are not ready (kubectl describe pod): the readiness probe, "
            "the program itself, or what it waits for",
        )
