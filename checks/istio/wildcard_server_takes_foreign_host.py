"""The silent sibling of document 002: a wrong backend, or no client certificate."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Severity, kinds
from gwdoctor.resolve import hosts, istio_gateways, overlap_fixes, sni_policies, tls_overlap
from gwdoctor.resolve.istio_gateways import Server
from gwdoctor.resolve.tls_overlap import Capture


class WildcardServerTakesForeignHost(Probe):
    """A wildcard server answers for a host that has a server of its own.

    Envoy chooses the server by SNI and the route by the Host header, and the two need not agree.
    On a connection whose SNI is any other name below the wildcard, a request for x is routed by
    the wildcard server. Browsers do that by themselves when its certificate covers x (HTTP/2
    reuse): wrong backend, no error, nothing in a log but SNI and Host that differ. Anyone can do
    it on purpose: where x's own server demands a client certificate (MUTUAL) and the wildcard
    server does not, a VirtualService bound to the Gateway of both lets every client in without.
    Certificates need not overlap for that.

    Not a problem where both servers route the name by the same VirtualService and demand the
    same of clients, where the wildcard server routes no name that covers x, where the gateway
    answers 421 on the request, or where an AuthorizationPolicy denies Host x unless the SNI is x.

    Check it yourself: SNI of another name below the wildcard, Host of x, no client certificate.

    ```sh
    curl -sk -o /dev/null -w '%{http_code}\\n' --resolve OTHER:443:GATEWAY_IP -H 'Host: X' https://OTHER/
    ```

    Source: istiod 1.32 in its traffic simulator; pilot/pkg/networking/core/gateway.go.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: bank, namespace: web}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: ["*.example.com"]
        tls: {mode: SIMPLE, credentialName: wildcard}
      - port: {number: 443, name: https-admin, protocol: HTTPS}
        hosts: [admin.example.com]
        tls: {mode: MUTUAL, credentialName: admin}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: admin, namespace: web}
    spec:
      hosts: [admin.example.com]
      gateways: [bank]
      http: [{route: [{destination: {host: admin}}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: wildcard, namespace: istio-system}
    type: kubernetes.io/tls
    data: !cert {dns: ["*.example.com"]}
    ```

    ```yaml fixed
    kind: AuthorizationPolicy
    metadata: {name: sni-must-match-host, namespace: istio-system}
    spec:
      action: DENY
      selector: {matchLabels: {istio: ingressgateway}}
      rules:
      - to: [{operation: {hosts: [admin.example.com, "admin.example.com:*"]}}]
        when: [{key: connection.sni, notValues: [admin.example.com]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = istio_gateways.GATEWAYS
    needs = (*tls_overlap.READS, kinds.AUTHORIZATION_POLICY)
    symptoms = ("the wrong site answers", "no client certificate is asked for")

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """One finding for each wildcard server and kind of harm."""
        groups: dict[tuple[Field, bool], list[Capture]] = defaultdict(list)
        for capture in tls_overlap.found(cluster).captures:
            workload = capture.socket.workload
            if sni_policies.denies_foreign_sni(workload, capture.name, cluster):
                continue
            if capture.skips_client_certificate:
                groups[capture.wildcard.field, True].append(capture)
            elif capture.mark and not capture.is_same_route:
                groups[capture.wildcard.field, False].append(capture)
        for (_, is_bypass), captures in groups.items():
            yield (
                self._bypass(captures, cluster) if is_bypass else self._misroute(captures, cluster)
            )

    def _bypass(self, captures: list[Capture], cluster: Cluster) -> Finding:
        first = captures[0]
        wildcard = first.wildcard
        return self.finding(
            _hosts(wildcard),
            f"without a client certificate {_names(captures)} is reached through this server: "
            f"{first.taken_by.ref} is routed by it too, and only {first.owner} asks for one",
            root=wildcard.owner,
            because=_others(captures),
            fix=sni_policies.deny_foreign_sni(first.socket.workload, captures, cluster),
            marker="client-certificate",
        )

    def _misroute(self, captures: list[Capture], cluster: Cluster) -> Finding:
        first = captures[0]
        one_site = any(
            hosts.registrable(c.name) in map(hosts.registrable, c.wildcard.names)
            or "*" in c.wildcard.names
            for c in captures
        )
        fix: Fix = overlap_fixes.answer_421(
            first.socket.workload, [c.wildcard for c in captures], cluster
        )
        return self.finding(
            _hosts(first.wildcard),
            f"on a connection opened for another name below {first.wildcard.names[0]}, "
            f"{_names(captures)} is answered by {first.taken_by.ref}, not by {first.owner}",
            root=first.wildcard.owner,
            severity=Severity.HIGH if one_site else Severity.MEDIUM,
            confidence=Confidence.LIKELY
            if first.socket.workload.is_seen and not first.mark.startswith("=")
            else Confidence.POSSIBLE,
            because=_others(captures),
            fix=fix,
        )


def _hosts(server: Server) -> Field:
    return server.field.at("hostname" if server.is_listener else "hosts")


def _names(captures: list[Capture]) -> str:
    names = [capture.name for capture in captures]
    more = f" (and {len(names) - 3} more)" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _others(captures: list[Capture]) -> tuple[Field, ...]:
    return tuple(dict.fromkeys(spot for c in captures for spot in (c.owner.spot, _names_of(c))))


def _names_of(capture: Capture) -> Field:
    route = capture.taken_by
    return route.at("spec", "hosts" if route.ref.kind == kinds.VIRTUAL_SERVICE else "hostnames")
