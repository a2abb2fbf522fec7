"""An ExternalName Service behind Envoy Gateway."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, gateway_api, services


class ExternalNameBackend(Probe):
    """Requests get 500: Envoy Gateway does not follow ExternalName Services.

    Envoy Gateway sends to the endpoints of a Service, and one of type ExternalName has none. Other
    controllers resolve the name. The way out is a Backend (group `gateway.envoyproxy.io`) with the
    name as its FQDN.

    Not a problem under Gateways of other controllers, or with weight 0.

    ```sh
    kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.type}'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi (UnsupportedValue).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: legacy, namespace: infra}
    spec: {type: ExternalName, externalName: legacy.example.com}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: legacy, port: 80}]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = (kinds.SERVICE, kinds.GATEWAY_CLASS, *gateway_api.PARENT_NEEDS)
    symptoms = ("500 Internal Server Error", "UnsupportedValue")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Backends of type ExternalName of routes on a Gateway of Envoy Gateway."""
        external = []
        for backend in gateway_api.backend_refs(route):
            if backend.kind != kinds.SERVICE or (backend.weight == 0 and not backend.is_mirror):
                continue
            service = cluster.get(kinds.SERVICE, backend.namespace, backend.name)
            if service is not None and services.external_name(service):
                external.append((backend, service))
        if not external:
            return
        for parent in gateway_api.parents(route, cluster):
            gateway = (
                gateway_api.gateway_of(parent.owner, cluster) if parent.owner is not None else None
            )
            if gateway is None or not envoy_gateway.answers_for(gateway, cluster):
                continue
            for backend, service in external:
                name = services.external_name(service)
                yield self.finding(
                    backend.field,
                    f"Service {service.namespace}/{service.name} is an ExternalName for {name}, "
                    "which Envoy Gateway does not follow",
                    root=route,
                    because=(service.at("spec", "type"), gateway),
                    advice=f"Make a Backend with fqdn {name} and refer to that (Envoy Gateway needs "
                    "extensionApis.enableBackend for it)",
                )
            return
