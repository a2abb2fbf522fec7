"""Routes in a section that the server does not read."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity
from gwdoctor.resolve import istio_gateways
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.istio_gateways import Server


class RouteSectionNotRead(Probe):
    """A Gateway port has routes, in a section that it does not read.

    Protocol and TLS mode of a server decide which section of a VirtualService counts. HTTP, and
    HTTPS that ends at the gateway: `http`. PASSTHROUGH: `tls`, chosen by `sniHosts`. TLS that
    ends at the gateway, and TCP: `tcp`. A server that finds only other sections answers 404
    where it speaks HTTP, and otherwise gets no filter chain: the connection is reset.

    Not a problem where one VirtualService of several has the section, where an HTTP server only
    redirects, or where a plain HTTP server stands beside the port that the routes are for.

    Check it yourself: the sections that there are.

    ```sh
    kubectl get virtualservice -A -o json | jq '.items[] | {n: .metadata.name, s: (.spec | keys)}'
    ```

    Source: istio 1.32 pilot/pkg/networking/core/gateway.go; run in its traffic simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: public, namespace: shop}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [shop.example.com]
        tls: {mode: PASSTHROUGH}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: shop}
    spec:
      hosts: [shop.example.com]
      gateways: [public]
      http: [{route: [{destination: {host: shop}}]}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = istio_gateways.GATEWAYS
    needs = (*istio_gateways.READS, *virtual_services.READS)
    symptoms = (
        "404 Not Found",
        "Connection reset by peer",
        "filter_chain_not_found",
        "NR filter_chain_not_found",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """Every server that is merged in, once."""
        told: set[Field] = set()
        for workload in istio_gateways.workloads(cluster):
            servers = [s for socket in workload.sockets() for s in socket.servers]
            found = {
                server: list(virtual_services.applying(server, workload.namespace, cluster))
                for server in servers
                if not server.is_listener and not server.redirects
            }
            read = {
                route
                for server, routes in found.items()
                for route in routes
                if route.has("spec", virtual_services.section_of(server))
            }
            for server, routes in found.items():
                if server.field not in told and _is_deaf(server, routes, read):
                    told.add(server.field)
                    yield self._of(server, routes)

    def _of(self, server: Server, routes: list[Resource]) -> Finding:
        section = virtual_services.section_of(server)
        there = sorted({name for route in routes for name in _sections(route)})
        spoken = f"{server.protocol} {server.mode}".strip()
        steps = ("tls", "mode") if server.mode else ("port", "protocol")
        more = f" and {len(routes) - 1} more" if len(routes) > 1 else ""
        return self.finding(
            server.field.at(*steps),
            f"{spoken} reads the section {section}, and {routes[0].ref}{more} has only "
            f"{', '.join(there)}",
            root=server.owner,
            because=tuple(route.at("spec", _sections(route)[0]) for route in routes[:5]),
            advice=_ADVICE[section],
        )


_ADVICE = {
    "http": "Write the routes as http; or, for TLS that the backend ends, set mode PASSTHROUGH",
    "tls": "To route by path or header set mode SIMPLE with a certificate; to pass TLS through "
    "write the routes as tls, with match.sniHosts",
    "tcp": "To route HTTP make the protocol HTTPS (HTTP without TLS); for other protocols write "
    "the routes as tcp",
}


def _is_deaf(server: Server, routes: list[Resource], read: set[Resource]) -> bool:
    section = virtual_services.section_of(server)
    if not section or any(route.has("spec", section) for route in routes):
        return False
    if section == "tls" and any(route.has("spec", "tcp") for route in routes):
        return False  # a PASSTHROUGH server falls back to tcp
    if not any(_sections(route) for route in routes):
        return False
    # plain ports beside the one that the routes are for are often there by habit
    return server.is_tls or not any(route in read for route in routes)


def _sections(route: Resource) -> list[str]:
    return [name for name in ("http", "tls", "tcp") if route.has("spec", name)]
