"""Two ServiceEntries for one host and port."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

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
            ours = _class(port)
            found = [
                (host, by_class)
                for host in entry.texts("spec", "hosts")
                if (by_class := index.get((host.lower(), number)))
            ]
            twins = (
                (host, *twin)
                for is_clash in (True, False)
                for host, by_class in found
                for twin in _oldest(
                    _twins(entry, port, same, cluster)
                    for name, same in by_class.items()
                    if (name != ours) is is_clash
                )
            )
            twin = next(twins, None)
            if twin is None:
                continue
            host, other, theirs = twin
            clash = _class(theirs) != ours
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


_Port = tuple[Resource, Field]


def _twins(
    entry: Resource, port: Field, same: Sequence[_Port], cluster: Cluster
) -> Iterator[_Port]:
    """Of ports with one host, number and class, those of older entries that some proxy sees too."""
    age = istio_mesh.age(entry)
    for other, theirs in same:
        if istio_mesh.age(other) > age:
            return
        if (other != entry or theirs.path < port.path) and _meet(entry, other, cluster):
            yield other, theirs


def _oldest(several: Iterable[Iterator[_Port]]) -> list[_Port]:
    """The first of the firsts, or nothing."""
    firsts = [first for each in several if (first := next(each, None)) is not None]
    return sorted(firsts, key=lambda first: istio_mesh.age(first[0]))[:1]


def _by_port(cluster: Cluster) -> Mapping[tuple[str, int | None], Mapping[str, Sequence[_Port]]]:
    """By host, number and class, oldest entry first."""
    index: dict[tuple[str, int | None], dict[str, list[_Port]]] = defaultdict(dict)
    for entry in istio_mesh.by_age(cluster, kinds.SERVICE_ENTRY):
        for host in dict.fromkeys(host.lower() for host in entry.texts("spec", "hosts")):
            for port in entry.each("spec", "ports"):
                by_class = index[host, port.number("number")]
                by_class.setdefault(_class(port), []).append((entry, port))
    return index
