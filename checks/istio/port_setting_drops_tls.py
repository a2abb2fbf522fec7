"""A portLevelSettings entry that takes the TLS of the whole policy away."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class PortSettingDropsTls(Probe):
    """A port is called without the TLS that its DestinationRule asks for.

    A `portLevelSettings` entry takes the place of the whole `trafficPolicy` for its port: one
    that only sets a connection pool leaves the port without the `tls` that stands above it.

    Not a problem where the entry is there to take a plain HTTP port out.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST --port PORT -o json | grep -A3 transportSocket
    ```

    Source: istio 1.32 pilot/pkg/networking/util (MergeTrafficPolicy), run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: pay, namespace: shop}
    spec:
      host: pay.example.com
      trafficPolicy:
        tls: {mode: SIMPLE, sni: pay.example.com}
        portLevelSettings:
        - {port: {number: 80}, connectionPool: {tcp: {maxConnections: 10}}}
    ---
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: shop}
    spec:
      hosts: [pay.example.com]
      ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
      resolution: DNS
    ```

    ```yaml fixed
    spec:
      trafficPolicy:
        portLevelSettings:
        - port: {number: 80}
          connectionPool: {tcp: {maxConnections: 10}}
          tls: {mode: SIMPLE, sni: pay.example.com}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE, kinds.SERVICE_ENTRY, kinds.CONFIG_MAP)
    symptoms = ("400 The plain HTTP request was sent to HTTPS port",)

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An entry without tls, for a port that speaks TLS, below a policy with it."""
        policy = rule.at("spec", "trafficPolicy")
        mode = policy.text("tls", "mode")
        if mode not in ("SIMPLE", "MUTUAL"):
            return
        speaks_tls = None
        for setting in policy.each("portLevelSettings"):
            number = setting.number("port", "number")
            if number is None or setting.has("tls"):
                continue
            if speaks_tls is None:
                speaks_tls = _tls_ports(rule, cluster)
            if number not in speaks_tls:
                continue
            change = rule.changed(*setting.path, "tls", to=policy.at("tls").value)
            yield self.finding(
                setting,
                f"port {number} has an entry without tls, so tls mode {mode} above does not hold "
                f"for it, and {rule.text('spec', 'host')} speaks TLS there",
                because=(policy.at("tls"),),
                fix=Fix("Repeat the tls block for this port", (change,), needs_review=True),
            )


def _tls_ports(rule: Resource, cluster: Cluster) -> frozenset[int | None]:
    """The ports of the host behind which TLS is spoken."""
    host = istio_rules.host_of(rule, cluster)
    service = istio_mesh.service_of(host, rule.namespace, cluster) if "*" not in host else None
    if service is not None:
        return frozenset(
            port.number("port")
            for port in service.each("spec", "ports")
            if istio_mesh.protocol(port) in ("HTTPS", "TLS")
        )
    return frozenset(
        port.number("number")
        for entry in istio_mesh.service_entries(host, cluster)
        for port in entry.each("spec", "ports")
        if (port.number("targetPort") or port.number("number")) in (443, 8443)
    )
