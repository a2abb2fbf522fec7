"""A TCP ServiceEntry that listens on every address."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh


class TcpServiceEntryWithoutAddress(Probe):
    """A ServiceEntry takes every TCP connection of the mesh on its port.

    A host name cannot be told from a TCP connection, only an address can. For a TCP port of a
    ServiceEntry without `addresses` sidecars listen on all addresses, and connections to other
    hosts on the same port end at this one.

    Not a problem where Istio has given it an address (`status.addresses`) and DNS capture makes
    clients use it, or where the port is TLS or HTTP, which carry the name.

    ```sh
    istioctl proxy-config listener POD -n NAMESPACE --port PORT
    ```

    Source: istio 1.32 pkg/config/analysis (IST0134), pilot/pkg/serviceregistry/serviceentry.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: db, namespace: shop}
    spec:
      hosts: [db.example.com]
      ports: [{number: 5432, name: tcp, protocol: TCP}]
      resolution: DNS
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.POSSIBLE
    subjects = (kinds.SERVICE_ENTRY,)
    needs = (kinds.CONFIG_MAP,)

    def check(self, entry: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A TCP port without an address to listen on."""
        if entry.texts("spec", "addresses") or any(entry.each("status", "addresses")):
            return
        if istio_mesh.mesh(cluster).dns_capture or istio_mesh.exports(entry, cluster) == ():
            return
        for port in entry.each("spec", "ports"):
            protocol = port.text("protocol").upper()
            if protocol not in ("", "TCP"):
                continue
            host = next(iter(entry.texts("spec", "hosts")), "")
            number = port.number("number")
            fix = None
            if number in (443, 8443):
                change = entry.changed(*port.path, "protocol", to="TLS")
                fix = Fix("Tell the host by the name in TLS", (change,), needs_review=True)
            yield self.finding(
                port,
                f"port {number} is TCP without an address: sidecars send what is meant for any "
                f"host on port {number} to {host}",
                fix=fix,
                advice="Give it addresses of its own and turn DNS capture on for the clients, or "
                "set the protocol to TLS if clients speak TLS",
            )
