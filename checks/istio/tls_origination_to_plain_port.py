"""A TLS setting that was meant for one port and holds for all."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class TlsOriginationToPlainPort(Probe):
    """Clients start TLS to a port that speaks plain HTTP.

    A `tls` block directly under `trafficPolicy` holds for every port of the host. This Service
    has a TLS port, for which it is meant, and an HTTP port, whose clients get
    `WRONG_VERSION_NUMBER`.

    Not a problem where the HTTP port has a `portLevelSettings` entry: it takes the place of the
    whole policy for that port, with or without `tls`.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST --port PORT -o json | grep -A3 transportSocket
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS), run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web, namespace: shop}
    spec:
      host: web.shop.svc.cluster.local
      trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/certs/ca.pem}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
    ```

    ```yaml fixed
    kind: DestinationRule
    spec:
      trafficPolicy:
        tls: {mode: SIMPLE}
        portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE, kinds.POD, kinds.CONFIG_MAP)
    symptoms = (
        "WRONG_VERSION_NUMBER",
        "upstream connect error or disconnect/reset before headers",
        "http: server gave HTTP response to HTTPS client",
        "tls: first record does not look like a TLS handshake",
    )

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A general tls block over a Service with plain and TLS ports."""
        block = rule.at("spec", "trafficPolicy", "tls")
        if block.text("mode") not in ("SIMPLE", "MUTUAL") or "*" in rule.text("spec", "host"):
            return
        for service in istio_rules.covered_services(rule, cluster):
            spoken = [(istio_mesh.protocol(p), p) for p in service.each("spec", "ports")]
            secure = [p for protocol, p in spoken if protocol in ("HTTPS", "TLS")]
            plain = [
                port
                for protocol, port in spoken
                if protocol in istio_mesh.HTTP
                and any(t.field == block for t in istio_rules.client_tls(rule, port.number("port")))
            ]
            host = istio_mesh.host_of(service, cluster)
            if not (secure and plain) or not istio_rules.applies(
                rule, host, service.namespace, cluster
            ):
                continue
            if istio_mesh.membership_of(service, cluster) in ("all", "some"):
                continue  # their sidecar refuses it: destination-rule-bypasses-strict-mtls
            numbers = ", ".join(str(port.number("port")) for port in plain)
            settings = [
                *(s.value for s in rule.each("spec", "trafficPolicy", "portLevelSettings")),
                *(
                    {"port": {"number": port.number("port")}, "tls": {"mode": "DISABLE"}}
                    for port in plain
                ),
            ]
            path = "spec", "trafficPolicy", "portLevelSettings"
            yield self.finding(
                block,
                f"tls mode {block.text('mode')} holds for every port of {service.name}."
                f"{service.namespace}, also for port {numbers}, which speaks HTTP",
                because=tuple(plain),
                fix=Fix(
                    f"Take port {numbers} out",
                    (rule.changed(*path, to=settings),),
                    needs_review=True,
                ),
            )
