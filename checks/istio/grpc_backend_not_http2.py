"""gRPC behind a port that Istio speaks HTTP/1.1 to."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, istio_mesh, istio_routes, istio_rules, services


class GrpcBackendNotHttp2(Probe):
    """A gRPC backend is called with HTTP/1.1, which gRPC does not speak.

    A gateway does not find out what a backend speaks: it uses HTTP/2 only for ports declared as
    `grpc`, `http2` or `kubernetes.io/h2c`. What counts is the appProtocol, or the port name up
    to its first `-`: a port called `http-grpc` is HTTP/1.1, and `my-grpc` says nothing.

    Not a problem where a DestinationRule says `h2UpgradePolicy: UPGRADE` or `useClientProtocol`,
    or where only sidecars call a port that declares nothing: they follow the client.

    ```sh
    istioctl proxy-config cluster GATEWAY_POD -n istio-system --fqdn HOST -o json | grep -i http2
    ```

    Source: istio 1.32 pkg/config/kube/conversion.go and pilot/pkg/networking/core, run in its
    xDS simulator; istio/istio#9926.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: public, namespace: istio-system}
    spec:
      selector: {istio: ingressgateway}
      servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: gateway-1, namespace: istio-system, labels: {istio: ingressgateway}}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: api, namespace: shop}
    spec:
      hosts: [api.example.com]
      gateways: [istio-system/public]
      http:
      - match: [{headers: {content-type: {prefix: application/grpc}}}]
        route: [{destination: {host: api, port: {number: 9000}}}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: api, namespace: shop}
    spec: {selector: {app: api}, ports: [{name: http, port: 80}, {name: http-rpc, port: 9000}]}
    ```

    ```yaml fixed
    kind: Service
    spec:
      ports:
      - {name: http, port: 80}
      - {name: http-rpc, port: 9000, appProtocol: kubernetes.io/h2c}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.SERVICE,)
    needs = (
        kinds.VIRTUAL_SERVICE,
        kinds.GRPC_ROUTE,
        kinds.GATEWAY,
        kinds.GATEWAY_CLASS,
        kinds.DESTINATION_RULE,
        kinds.POD,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
        "http2: frame too large",
        "grpc: received message larger than max",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A port that carries gRPC, by its routes or its name, and is not declared HTTP/2."""
        routed = cluster.derive(_grpc_routes)
        for port in service.each("spec", "ports"):
            protocol = istio_mesh.protocol(port)
            if protocol not in ("", "HTTP"):
                continue
            route = routed.get(port)
            named = protocol == "HTTP" and "grpc" in port.text("name").lower().split("-")
            if route is None and not (named and _in_mesh(service, cluster)):
                continue
            if _upgraded(service, port, cluster):
                continue
            number = port.number("port")
            why = "a gRPC route leads here" if route is not None else "its name says gRPC"
            how = "declares HTTP/1.1" if protocol else "declares nothing, which is HTTP/1.1 here"
            change = service.changed(*port.path, "appProtocol", to="kubernetes.io/h2c")
            yield self.finding(
                port,
                f"port {number} ({istio_mesh.declaration(port)}) {how}, but {why}",
                because=() if route is None else (route,),
                fix=Fix("Declare the port as HTTP/2 without TLS", (change,), needs_review=True),
            )


def _in_mesh(service: Resource, cluster: Cluster) -> bool:
    return istio_mesh.membership_of(service, cluster) in ("all", "some")


def _upgraded(service: Resource, port: Field, cluster: Cluster) -> bool:
    """Whether a DestinationRule makes clients use HTTP/2 all the same."""
    host = istio_mesh.host_of(service, cluster)
    for rule in istio_rules.anywhere(cluster, host):
        policy = rule.at("spec", "trafficPolicy")
        settings = [
            s
            for s in policy.each("portLevelSettings")
            if s.number("port", "number") == port.number("port")
        ]
        http = (settings[0] if settings else policy).at("connectionPool", "http")
        if http.text("h2UpgradePolicy") == "UPGRADE" or http.flag("useClientProtocol"):
            return True
    return False


def _grpc_routes(cluster: Cluster) -> Mapping[Field, Field]:
    """Service ports that gRPC is routed to at an Istio gateway, and the backend that says so."""
    found: dict[Field, Field] = {}
    for owner in cluster[kinds.VIRTUAL_SERVICE]:
        if set(owner.texts("spec", "gateways")) <= {"mesh"}:
            continue
        for destination in istio_routes.destinations(owner):
            if _matches_grpc(destination.route):
                target = istio_routes.service_port(destination, cluster)
                if target is not None:
                    found.setdefault(target[1], destination.field)
    for route in cluster[kinds.GRPC_ROUTE]:
        if not istio_routes.is_at_istio_gateway(route, cluster):
            continue
        for backend in gateway_api.backend_refs(route):
            service = None
            if backend.kind == kinds.SERVICE:
                service = cluster.get(kinds.SERVICE, backend.namespace, backend.name)
            port = services.port(service, backend.port) if service is not None else None
            if port is not None:
                found.setdefault(port, backend.field)
    return found


def _matches_grpc(route: Field) -> bool:
    return any(
        "application/grpc" in value.text(how)
        for match in route.each("match")
        for key, value in match.entries("headers")
        if key.lower() == "content-type"
        for how in ("exact", "prefix", "regex")
    )
