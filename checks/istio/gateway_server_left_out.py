"""A server that istiod silently leaves out of a gateway."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Severity
from gwdoctor.resolve import hosts, istio_gateways
from gwdoctor.resolve.istio_gateways import Dropped, Server, Socket


class GatewayServerLeftOut(Probe):
    """Hosts of a Gateway are not served: istiod leaves the server out.

    All Gateways of the same Pods are merged, port by port, oldest first. A TLS server that
    names one host which an older server has is left out *as a whole*, with all its other hosts,
    and whatever VirtualServices are bound to its Gateway stay without effect there. So does a
    TLS server on a port where plain HTTP came first, and the other way round for TCP. Ports are
    compared after the Service's targetPort has been looked up: 443 and 8443 may be one. Nothing
    but istiod's log says so.

    Not a problem for plain HTTP servers, which are merged; for a wildcard beside an exact host;
    for another `bind` address or namespace prefix; or where the older server has all the hosts
    and belongs to the same Gateway.

    Check it yourself: a host that is left out has no filter chain.

    ```sh
    istioctl proxy-config listener -n istio-system deploy/istio-ingressgateway
    ```

    Source: istio 1.32 pilot/pkg/model/gateway.go (mergeGateways, CheckDuplicates); run in its
    traffic simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: old, namespace: web, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [www.example.com]
        tls: {mode: SIMPLE, credentialName: www}
    ---
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: new, namespace: web, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [shop.example.com, www.example.com]
        tls: {mode: SIMPLE, credentialName: shop}
    ```

    ```yaml fixed
    metadata: {name: new}
    spec:
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [shop.example.com]
        tls: {mode: SIMPLE, credentialName: shop}
    ```
    """

    severity = Severity.CRITICAL
    subjects = istio_gateways.GATEWAYS
    needs = istio_gateways.READS
    symptoms = (
        "404 Not Found",
        "Connection reset by peer",
        "the other team's certificate is served",
        "404 NR route_not_found",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """Every server left out, once though several workloads may leave it out."""
        told: set[Field] = set()
        for workload in istio_gateways.workloads(cluster):
            for socket in workload.sockets():
                for dropped in socket.dropped:
                    if dropped.server.is_listener or dropped.server.field in told:
                        continue  # conflicts of listeners are told by the Gateway API checks
                    told.add(dropped.server.field)
                    yield from self._of(dropped, socket)

    def _of(self, dropped: Dropped, socket: Socket) -> Iterator[Finding]:
        server, by = dropped.server, dropped.by
        served = [n for kept in socket.servers if kept.is_tls == server.is_tls for n in kept.names]
        lost = [n for n in server.names if not any(hosts.suffix_covers(s, n) for s in served)]
        if server is by:
            yield self._twice_in_one(dropped)
        elif not dropped.host:
            yield self.finding(
                server.field.at("port", "protocol"),
                f"port {server.number} is left out for {_list(server.names)}: {by}, the older "
                f"one, speaks {by.protocol} there, and this server {server.protocol}",
                root=server.owner,
                confidence=_confidence(dropped, socket),
                because=(by.field.at("port"),),
                advice="Give one of the two servers a port of its own, and the Service that port",
            )
        elif lost or (server.owner != by.owner and not server.redirects):
            yield self._duplicate(dropped, socket, lost)

    def _twice_in_one(self, dropped: Dropped) -> Finding:
        server = dropped.server
        once = list(dict.fromkeys(server.field.texts("hosts")))
        title = f"Name {dropped.host} once"
        change = server.owner.changed(*server.field.path, "hosts", to=once)
        is_only_spelled_twice = len(once) == len(set(server.hosts))
        return self.finding(
            server.field.at("hosts"),
            f"this server is left out, with {_list(server.names)}: it names {dropped.host} twice",
            root=server.owner,
            fix=Fix(title, (change,)) if is_only_spelled_twice else None,
            advice="" if is_only_spelled_twice else f"Keep one spelling of {dropped.host}",
        )

    def _duplicate(self, dropped: Dropped, socket: Socket, lost: list[str]) -> Finding:
        server, by = dropped.server, dropped.by
        known = {host for kept in socket.servers for host in kept.hosts}
        left = [
            literal
            for literal, host in zip(server.field.texts("hosts"), server.hosts, strict=False)
            if host not in known
        ]
        consequence = (
            f"{_list(lost)} {'is' if len(lost) == 1 else 'are'} not served at all"
            if lost
            else "routes bound to its Gateway have no effect on them"
        )
        fix = None
        if left:
            change = server.owner.changed(*server.field.path, "hosts", to=left)
            title = f"Leave {dropped.host} to {by.owner.ref}, so that the rest is served"
            fix = Fix(title, (change,), needs_review=True)
        return self.finding(
            server.field.at("hosts"),
            f"this server is left out: {by}, the older one, has {dropped.host} already; "
            f"{consequence}",
            root=server.owner,
            severity=_severity(server, lost),
            confidence=_confidence(dropped, socket),
            because=(by.field.at("hosts"),),
            fix=fix,
            advice=""
            if fix
            else f"Bind the VirtualServices to {by.owner.ref.namespace}/{by.owner.ref.name} and "
            "delete this server, or take the host out of the older one",
        )


def _severity(server: Server, lost: list[str]) -> Severity:
    if server.redirects:
        return Severity.MEDIUM
    return Severity.CRITICAL if lost else Severity.HIGH


def _confidence(dropped: Dropped, socket: Socket) -> Confidence:
    """Certain where the Pods and who is older are known."""
    ages = {dropped.server.owner.created, dropped.by.owner.created}
    one = dropped.server.owner == dropped.by.owner
    known = one or (len(ages) == 2 and "" not in ages)
    return Confidence.CERTAIN if known and socket.workload.is_seen else Confidence.LIKELY


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
