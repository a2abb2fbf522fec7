"""Two ServiceEntries for one host and port."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh


class ServiceEntryPortDefinedTwice(Probe):
    """A host's port is defined by two ServiceEntries, and one of them loses.

    Sidecars build one listener and one cluster for a host and port. Where a second
    ServiceEntry gives the same port another protocol, its traffic is handled by the first
    one's: TLS is read as HTTP, or HTTP goes unrouted.

    Not a problem between namespaces that do not see each other's (`exportTo`). HTTP, HTTP2 and
    GRPC go together well enough; the same protocol twice is told as hygiene.

    ```sh
    kubectl get serviceentries -A -o yaml | grep -n HOST
    ```

    Source: istio 1.32 pkg/config/analysis (IST0177), pilot/pkg/serviceregistry/serviceentry.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: shop}
    spec: {hosts: [pay.example.com], ports: [{number: 8000, name: tls, protocol: TLS}]}
    ---
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: web}
    spec: {hosts: [pay.example.com], ports: [{number: 8000, name: http, protocol: HTTP}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE_ENTRY,)
    needs = (kinds.CONFIG_MAP,)

    def check(self, entry: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each port that an older entry defines for one of its hosts."""
        index = cluster.derive(_by_port)
        for port in entry.each("spec", "ports"):
            number, protocol = port.number("number"), port.text("protocol").upper()
            twins = [
                (host, other, theirs)
                for host in entry.texts("spec", "hosts")
                for other, theirs in index.get((host.lower(), number), ())
                if theirs != port and istio_mesh.age(other) <= istio_mesh.age(entry)
                if (other != entry or theirs.path < port.path) and _meet(entry, other, cluster)
            ]
            if not twins:
                continue
            clash = [twin for twin in twins if _class(twin[2]) != _class(port)]
            host, other, theirs = (clash or twins)[0]
            where = "this one too" if other == entry else f"{other.namespace}/{other.name} as well"
            yield self.finding(
                port.at("protocol"),
                f"{host} port {number} is {protocol or 'TCP'} here, and "
                f"{theirs.text('protocol').upper() or 'TCP'} in {where}",
                severity=None if clash else Severity.LOW,
                because=(theirs,),
                advice="Keep one ServiceEntry for a host and port, and say in it what the port "
                "speaks; or export each to its own namespace only",
            )


def _class(port: Field) -> str:
    protocol = port.text("protocol").upper() or "TCP"
    return "HTTP" if protocol in istio_mesh.HTTP else protocol


def _meet(entry: Resource, other: Resource, cluster: Cluster) -> bool:
    """Whether some proxy sees both."""
    ours = set(istio_mesh.exports(entry, cluster))
    theirs = set(istio_mesh.exports(other, cluster))
    return bool(ours and theirs) and ("*" in ours | theirs or bool(ours & theirs))


def _by_port(cluster: Cluster) -> Mapping[tuple[str, int | None], Sequence[tuple[Resource, Field]]]:
    index: dict[tuple[str, int | None], list[tuple[Resource, Field]]] = defaultdict(list)
    for entry in istio_mesh.by_age(cluster, kinds.SERVICE_ENTRY):
        for host in dict.fromkeys(host.lower() for host in entry.texts("spec", "hosts")):
            for port in entry.each("spec", "ports"):
                index[host, port.number("number")].append((entry, port))
    return index
