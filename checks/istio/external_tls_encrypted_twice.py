"""TLS around TLS: the client speaks HTTPS, and its sidecar wraps it once more."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_routes, istio_rules


class ExternalTlsEncryptedTwice(Probe):
    """HTTPS calls to an external host are encrypted twice and fail.

    A ServiceEntry port with protocol HTTPS or TLS says that clients speak TLS to it. A
    DestinationRule with mode SIMPLE or MUTUAL makes the sidecar start TLS as well: the host gets
    a TLS handshake inside of TLS. A `tls` block directly under `trafficPolicy` holds for every
    port, also for 443 when it was meant for 80.

    Not a problem where a VirtualService leads HTTP to that port: then it is the sidecar's or
    egress gateway's TLS that arrives, once.

    ```sh
    kubectl exec -n NAMESPACE POD -c APP -- curl -v https://HOST/
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS), run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: shop}
    spec:
      hosts: [pay.example.com]
      ports:
      - {number: 80, name: http, protocol: HTTP, targetPort: 443}
      - {number: 443, name: https, protocol: HTTPS}
      resolution: DNS
    ---
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: pay, namespace: shop}
    spec:
      host: pay.example.com
      trafficPolicy: {tls: {mode: SIMPLE}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE_ENTRY, kinds.VIRTUAL_SERVICE, kinds.CONFIG_MAP)
    symptoms = ("SSL routines:ssl3_get_record:wrong version number", "WRONG_VERSION_NUMBER")

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A block that starts TLS to a port whose clients speak TLS."""
        if not istio_rules.tls_blocks(rule):
            return
        host = istio_rules.host_of(rule, cluster)
        told: set[Field] = set()
        for entry in istio_mesh.service_entries(host, cluster):
            for port in entry.each("spec", "ports"):
                number = port.number("number")
                if port.text("protocol").upper() not in ("HTTPS", "TLS"):
                    continue
                targets = istio_routes.http_targets(cluster)
                if (host, number) in targets or (host, None) in targets:
                    continue
                for tls in istio_rules.client_tls(rule, number):
                    if tls.mode in ("SIMPLE", "MUTUAL") and tls.field not in told:
                        told.add(tls.field)
                        yield self.finding(
                            tls.field,
                            f"tls mode {tls.mode} starts TLS to {host} port {number}, where "
                            f"clients speak TLS already (protocol {port.text('protocol')} in "
                            f"ServiceEntry {entry.name})",
                            because=(port,),
                            advice="Give the block to the HTTP port only (portLevelSettings for "
                            "the port that clients call with plain HTTP), or let clients call "
                            f"port {number} with plain HTTP and declare it so",
                        )
