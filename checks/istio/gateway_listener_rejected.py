"""Two filter chains with one SNI: Envoy refuses the whole port."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Severity
from gwdoctor.resolve import istio_gateways
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.istio_gateways import Server, Socket


class GatewayListenerRejected(Probe):
    """Envoy refuses a gateway port: two servers come to the same SNI.

    istiod compares the hosts of servers with their namespace prefix, and leaves a duplicate out.
    `team-a/x` and `team-b/x` pass that test, but the SNI of both is `x`: two filter chains with
    one match, and Envoy rejects the whole listener. It goes on with the last configuration it
    took, so that every later change to that port is lost, and after a restart the port is closed
    for all hosts. The same happens where a VirtualService passes through an `sniHosts` that
    another server terminates.

    Not a problem where the hosts are spelled alike (then the younger server is left out), on
    another port or `bind` address, and within one server, where several prefixes may stand.

    Check it yourself: a rejected update shows as ERROR or STALE.

    ```sh
    istioctl proxy-status
    ```

    Source: istio 1.32 pilot/pkg/model/gateway.go (CheckDuplicates), run in its traffic
    simulator; istio/istio issue 30321.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: shared, namespace: istio-system}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https-a, protocol: HTTPS}
        hosts: [team-a/www.example.com]
        tls: {mode: SIMPLE, credentialName: www}
      - port: {number: 443, name: https-b, protocol: HTTPS}
        hosts: [team-b/www.example.com]
        tls: {mode: SIMPLE, credentialName: www}
    ```
    """

    severity = Severity.CRITICAL
    subjects = istio_gateways.GATEWAYS
    needs = (*istio_gateways.READS, *virtual_services.READS)
    symptoms = (
        "filter chain match rules",
        "multiple filter chains with the same matching rules are defined",
        "STALE",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """Every server, and every sniHosts entry, that doubles the SNI of another."""
        told: set[object] = set()
        for workload in istio_gateways.workloads(cluster):
            for socket in workload.sockets():
                ended: dict[str, Server] = {}
                for server in socket.servers:
                    if server.terminates_https and not server.is_listener:
                        yield from self._doubled(server, ended, socket, told)
                for server in socket.servers:
                    if server.mode == "PASSTHROUGH" and not server.is_listener:
                        yield from self._passed_through(server, ended, socket, cluster, told)

    def _doubled(
        self, server: Server, ended: dict[str, Server], socket: Socket, told: set[object]
    ) -> Iterator[Finding]:
        for name in dict.fromkeys(host.rpartition("/")[2] for host in server.hosts):
            other = ended.setdefault(name, server)
            if other is server or server.field in told:
                continue
            told.add(server.field)
            yield self.finding(
                server.field.at("hosts"),
                f"{other} and this server both come to the SNI {name} on port {socket.port}: "
                "Envoy rejects the listener with all its hosts",
                root=server.owner,
                confidence=_confidence(socket),
                because=(other.field.at("hosts"),),
                advice=f"Put both spellings of {name} into the hosts of one server, or give one "
                "of them another name",
            )

    def _passed_through(
        self,
        server: Server,
        ended: dict[str, Server],
        socket: Socket,
        cluster: Cluster,
        told: set[object],
    ) -> Iterator[Finding]:
        for route in virtual_services.applying(server, socket.workload.namespace, cluster):
            for rule in route.each("spec", "tls"):
                for match in rule.each("match"):
                    doubled = [name for name in match.texts("sniHosts") if name in ended]
                    spot = match.at("sniHosts")
                    if not doubled or spot in told:
                        continue
                    told.add(spot)
                    other = ended[doubled[0]]
                    left = [name for name in match.texts("sniHosts") if name not in doubled]
                    title = f"Leave {', '.join(doubled)} to {other.owner.ref}, which ends its TLS"
                    change = route.changed(*spot.path, to=left)
                    yield self.finding(
                        spot,
                        f"{doubled[0]} is passed through on port {socket.port}, where {other} "
                        "ends its TLS: Envoy rejects the listener with all its hosts",
                        root=route,
                        confidence=_confidence(socket),
                        because=(other.field.at("hosts"), server.field.at("hosts")),
                        fix=Fix(title, (change,), needs_review=True) if left else None,
                        advice="" if left else "Decide who ends the TLS of this host",
                    )


def _confidence(socket: Socket) -> Confidence:
    return Confidence.CERTAIN if socket.workload.is_seen else Confidence.LIKELY
