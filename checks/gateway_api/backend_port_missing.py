"""A backendRef to a port that the Service does not have."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, services
from gwdoctor.resolve.gateway_api import BackendRef


class BackendPortMissing(Probe):
    """Requests get 500: the Service has no such port.

    `port` of a backendRef is a port of the *Service* (`spec.ports[].port`), not the port of the
    container that it leads to (`targetPort`). For a UDPRoute it has to be a UDP port, for all
    others a TCP one.

    Not a problem for a Service of type ExternalName, which needs no ports, or with weight 0.

    ```sh
    kubectl get service web -n app -o jsonpath='{.spec.ports}'
    ```

    Source: gateway-api 1.6, apis/v1/object_reference_types.go; Envoy Gateway 1.9 (PortNotFound).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: app}
    spec: {ports: [{port: 80, targetPort: 8080}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      rules: [{backendRefs: [{name: web, port: 80}]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = (kinds.SERVICE,)
    symptoms = ("500 Internal Server Error", "PortNotFound", "no healthy upstream")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Ports of Services that are there."""
        protocol = "UDP" if route.ref.kind == kinds.UDP_ROUTE else "TCP"
        for backend in gateway_api.backend_refs(route):
            if backend.kind != kinds.SERVICE or not backend.name:
                continue
            if backend.port is None or (backend.weight == 0 and not backend.is_mirror):
                continue
            service = cluster.get(kinds.SERVICE, backend.namespace, backend.name)
            if service is None or services.external_name(service):
                continue
            ports = list(service.each("spec", "ports"))
            fitting = [port for port in ports if (port.text("protocol") or "TCP") == protocol]
            if any(port.number("port") == backend.port for port in fitting):
                continue
            there = ", ".join(f"{p.number('port')}/{p.text('protocol') or 'TCP'}" for p in ports)
            fix = _fix(backend, fitting)
            yield self.finding(
                backend.field.at("port"),
                f"Service {service.namespace}/{service.name} has no {protocol} port {backend.port}; "
                f"it has {there or 'no ports'}",
                root=route,
                marker=f"{backend.namespace}:{backend.port}",
                severity=Severity.MEDIUM if backend.is_mirror else Severity.CRITICAL,
                because=(service.at("spec", "ports"),),
                fix=fix,
                advice="" if fix else f"Choose one of the ports of the Service: {there or 'none'}",
            )


def _fix(backend: BackendRef, ports: list[Field]) -> Fix | None:
    """The port that leads to the number given, or the only one there is."""
    meant = [p for p in ports if p.number("targetPort") == backend.port] or ports
    number = meant[0].number("port") if len(meant) == 1 else None
    if number is None:
        return None
    change = backend.route.changed(*backend.field.path, "port", to=number)
    return Fix(f"Use port {number} of the Service", (change,), needs_review=True)
