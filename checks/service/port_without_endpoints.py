"""A named target port that no container has."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import routed, services


class PortWithoutEndpoints(Probe):
    """A routed port answers 503: none of the ready endpoints offers it.

    A `targetPort` given by **name** is looked up among the container ports of each Pod; a Pod
    that declares no port of that name is left out for this port, without an event. In an
    EndpointSlice made by hand the port's name must be that of the Service's port.

    Not a problem while one ready endpoint offers the port, for ports that nothing of the entry
    leads to, and for Services without any ready endpoint (service/no-ready-endpoint).

    ```sh
    kubectl -n NAMESPACE get endpointslice -l kubernetes.io/service-name=NAME -o jsonpath='{.items[*].ports}'
    kubectl -n NAMESPACE get pods -o jsonpath='{.items[*].spec.containers[*].ports}'
    ```

    Source: Kubernetes pkg/controller/util/endpoint FindPort; discovery/v1 EndpointPort.name.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {selector: {app: shop}, ports: [{name: web, port: 80, targetPort: htpp}]}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: shop-1, namespace: shop, labels: {kubernetes.io/service-name: shop}}
    addressType: IPv4
    ports: []
    endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec: {defaultBackend: {service: {name: shop, port: {name: web}}}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*routed.KINDS, kinds.ENDPOINT_SLICE)
    symptoms = (
        "can't add target for backend",
        "failure to get a peer from the ring-balancer",
        "503 Service Unavailable",
        "no healthy upstream",
        "503 UH no_healthy_upstream",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Routed ports that no slice with a ready endpoint has."""
        places = routed.places(cluster).get((service.namespace, service.name))
        if not places:
            return
        cluster.within(kinds.ENDPOINT_SLICE, service.namespace)
        ready = [
            endpoint_slice
            for endpoint_slice in services.slices(cluster).get(
                (service.namespace, service.name), ()
            )
            if any(services.is_ready(e) for e in endpoint_slice.each("endpoints"))
        ]
        if not ready:
            return
        offered = {port.text("name") for s in ready for port in s.each("ports")}
        asked = {services.port(service, port): field for field, port in places}
        for port, field in asked.items():
            if port is None or port.text("name") in offered:
                continue
            target = port.at("targetPort")
            named = target.text()
            yield self.finding(
                target,
                f"no ready endpoint offers port {port.number('port')}"
                + (f": no container port is called {named}" if named else ""),
                root=service,
                because=(field, *ready[:5]),
                advice="Name a container port that the Pods declare, or give its number"
                if named
                else f"Name the port {port.text('name') or '(no name)'} in the EndpointSlice, as it "
                "is named in the Service",
            )
