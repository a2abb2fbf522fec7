"""Plain HTTP to the TLS port of an external host."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_rules

_TLS_PORTS = (443, 8443)


class ExternalTlsPortWithoutTls(Probe):
    """Plain HTTP arrives at the TLS port of an external host.

    A ServiceEntry port with protocol HTTP that leads to 443 means plain HTTP for the sidecar,
    and nothing makes TLS of it but a DestinationRule with mode SIMPLE or MUTUAL for that port.
    Clients that speak HTTPS to a port so declared fail as well: their TLS is read as HTTP.

    Not a problem with such a DestinationRule, or where the protocol is HTTPS or TLS: that is for
    clients that speak TLS themselves.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST -o json | grep -A3 transportSocket
    ```

    Source: istio 1.32 pilot/pkg/networking/core (outbound listeners, cluster TLS).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: shop}
    spec:
      hosts: [pay.example.com]
      ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
      resolution: DNS
    ```

    ```yaml fixed
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: pay-tls, namespace: shop}
    spec:
      host: pay.example.com
      trafficPolicy:
        portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, sni: pay.example.com}}]
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SERVICE_ENTRY,)
    needs = (kinds.DESTINATION_RULE, kinds.CONFIG_MAP)
    symptoms = (
        "400 The plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server",
        "tls: first record does not look like a TLS handshake",
    )

    def check(self, entry: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each HTTP port that leads to a TLS port, and that nothing makes TLS of."""
        if entry.text("spec", "location") == "MESH_INTERNAL":
            return
        for port in entry.each("spec", "ports"):
            number, protocol = port.number("number"), port.text("protocol").upper()
            target = port.number("targetPort") or number
            if protocol not in ("HTTP", "HTTP2", "GRPC") or target not in _TLS_PORTS:
                continue
            open_hosts = []
            for host in entry.texts("spec", "hosts"):
                cluster.within(kinds.DESTINATION_RULE, entry.namespace)
                rules = tuple(istio_rules.anywhere(cluster, host.lower()))
                if not any(_starts_tls(rule, number) for rule in rules):
                    open_hosts.append((host, rules))
            if not open_hosts:
                continue
            host, _ = open_hosts[0]
            fix = None
            if len(open_hosts) == len(entry.texts("spec", "hosts")):
                fix = _fix(entry, port, [h for h, r in open_hosts if not r], cluster)
            yield self.finding(
                port.at("protocol"),
                f"protocol {protocol} for {host} port {number}"
                + (f" leads to port {target}" if target != number else "")
                + ", and no DestinationRule starts TLS to it",
                fix=fix,
                advice="Set tls mode SIMPLE for this port in the host's DestinationRule if clients "
                "call it with plain HTTP; set the protocol to TLS if they speak TLS themselves",
            )


def _starts_tls(rule: Resource, port: int | None) -> bool:
    """Whether it has TLS for the port, or would, were it not for an entry of the port's own.

    The latter is told by istio/port-setting-drops-tls.
    """
    return rule.text("spec", "trafficPolicy", "tls", "mode") in ("SIMPLE", "MUTUAL") or any(
        tls.mode in ("SIMPLE", "MUTUAL") for tls in istio_rules.client_tls(rule, port)
    )


def _fix(entry: Resource, port: Field, hosts: list[str], cluster: Cluster) -> Fix | None:
    """A way out for an entry none of whose hosts is called with TLS; `hosts` have no rule at all."""
    number = port.number("number")
    if number in _TLS_PORTS:  # called by its own number: clients surely speak TLS
        change = entry.changed(*port.path, "protocol", to="TLS")
        return Fix("Let clients speak TLS themselves", (change,), needs_review=True)
    if len(entry.texts("spec", "hosts")) != 1 or not hosts or "*" in hosts[0]:
        return None
    made = {
        "apiVersion": cluster.api_version(kinds.DESTINATION_RULE),
        "kind": "DestinationRule",
        "metadata": {"name": f"{entry.name}-tls", "namespace": entry.namespace},
        "spec": {
            "host": hosts[0],
            "trafficPolicy": {
                "portLevelSettings": [
                    {"port": {"number": number}, "tls": {"mode": "SIMPLE", "sni": hosts[0]}}
                ]
            },
        },
    }
    return Fix("Start TLS to this port", (Change.created(made),), needs_review=True)
