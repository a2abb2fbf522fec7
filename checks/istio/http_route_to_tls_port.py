"""An HTTP route into a port that speaks TLS, with nobody to speak it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, istio_mesh, istio_routes, istio_rules, services


class HttpRouteToTlsPort(Probe):
    """Plain HTTP is sent to a backend port that speaks TLS.

    A port declared `https` or `tls` is raw bytes to Istio: it carries the TLS of somebody else
    and starts none. An HTTP route to it, where the proxy has ended the client's TLS, sends plain
    HTTP; the backend answers 400 or hangs up. Only a DestinationRule with mode SIMPLE or MUTUAL
    (for HTTPRoutes also a BackendTLSPolicy) makes the proxy speak TLS. The mesh's own mTLS does
    not help: it ends at the backend's sidecar, and the application still gets plain HTTP.

    Not a problem for `tls` routes and PASSTHROUGH servers, which hand the client's TLS on.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST --port PORT -o json | grep -A3 transportSocket
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS), run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: web, namespace: shop}
    spec:
      hosts: [web]
      http:
      - route: [{destination: {host: web, port: {number: 443}}}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.VIRTUAL_SERVICE, kinds.HTTP_ROUTE)
    needs = (
        kinds.SERVICE,
        kinds.SERVICE_ENTRY,
        kinds.DESTINATION_RULE,
        kinds.CONFIG_MAP,
        kinds.GATEWAY,
        kinds.GATEWAY_CLASS,
        kinds.BACKEND_TLS_POLICY,
    )
    symptoms = (
        "400 The plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server",
        "upstream connect error or disconnect/reset before headers",
        "tls: first record does not look like a TLS handshake",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each HTTP backend whose port is declared as TLS."""
        if route.ref.kind == kinds.VIRTUAL_SERVICE:
            for destination in istio_routes.destinations(route):
                if destination.section != "http":
                    continue
                found = istio_routes.service_port(destination, cluster)
                if found is not None:
                    yield from self._judge(destination.field, destination.subset, *found, cluster)
                else:
                    yield from self._judge_external(destination, cluster)
        elif istio_routes.is_at_istio_gateway(route, cluster):
            for backend in gateway_api.backend_refs(route):
                if backend.kind != kinds.SERVICE or _has_tls_policy(backend, cluster):
                    continue
                service = cluster.get(kinds.SERVICE, backend.namespace, backend.name)
                port = services.port(service, backend.port) if service is not None else None
                if service is not None and port is not None:
                    yield from self._judge(backend.field, "", service, port, cluster)

    def _judge_external(
        self, destination: istio_routes.Destination, cluster: Cluster
    ) -> Iterator[Finding]:
        """A destination outside the cluster, by its ServiceEntry."""
        host = destination.host.lower()
        for entry in istio_mesh.service_entries(host, cluster):
            for port in entry.each("spec", "ports"):
                number = port.number("number")
                if number != destination.port or port.text("protocol") not in ("HTTPS", "TLS"):
                    continue
                rules = istio_rules.anywhere(cluster, host)
                if istio_rules.originates_tls(rules, number, destination.subset):
                    continue
                yield self.finding(
                    destination.field,
                    f"HTTP is routed to {host} port {number} (protocol "
                    f"{port.text('protocol')}) and no DestinationRule makes the proxy speak TLS",
                    because=(port,),
                    advice=f"Add a DestinationRule for {host} with tls mode SIMPLE for port "
                    f"{number}",
                )
                return

    def _judge(
        self, field: Field, subset: str, service: Resource, port: Field, cluster: Cluster
    ) -> Iterator[Finding]:
        if istio_mesh.protocol(port) not in ("HTTPS", "TLS"):
            return
        cluster.within(kinds.DESTINATION_RULE, service.namespace)
        host, number = istio_mesh.host_of(service, cluster), port.number("port")
        rules = istio_rules.anywhere(cluster, host)
        if istio_rules.originates_tls(rules, number, subset):
            return
        yield self.finding(
            field,
            f"HTTP is routed to {service.name}.{service.namespace} port {number} "
            f"({istio_mesh.declaration(port)}) and no DestinationRule makes the proxy speak TLS",
            because=(port,),
            advice="Route to a plain HTTP port if there is one; else add a DestinationRule with "
            f"tls mode SIMPLE and the backend's CA for port {number}, with a workloadSelector for "
            "the gateway if other clients of the port speak TLS themselves; if the backend "
            "speaks plain HTTP, declare the port as http",
        )


def _has_tls_policy(backend: gateway_api.BackendRef, cluster: Cluster) -> bool:
    return backend.name in cluster.derive(_with_tls_policy, backend.namespace)


def _with_tls_policy(cluster: Cluster, namespace: str) -> frozenset[str]:
    return frozenset(
        target.text("name")
        for policy in cluster.within(kinds.BACKEND_TLS_POLICY, namespace)
        for target in policy.each("spec", "targetRefs")
    )
