"""Two Services for one container port that declare different protocols."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls

_RAW = frozenset({"TCP", "TLS", "HTTPS", "MONGO", "MYSQL", "REDIS"})


class ContainerPortProtocolsDiffer(Probe):
    """One container port is declared as HTTP and as TCP: one of them is lost.

    The receiving sidecar listens once for a container port, with the protocol that the first of
    the Services declares. What another Service says of the same port holds for clients only:
    policies, telemetry and HTTP/2 towards the application follow the first.

    Not a problem for several ports or Services that declare the same, or of which only one
    declares anything.

    ```sh
    istioctl proxy-config listener POD -n NAMESPACE --port 15006 -o json
    ```

    Source: istio 1.32 pilot/pkg/networking/core (inbound listeners), pkg/config/analysis
    (IST0137, which tells equal protocols too).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web-raw, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: tcp, port: 8000, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.SERVICE,)
    needs = (kinds.POD, kinds.ENDPOINT_SLICE)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A port whose container port an earlier Service declares otherwise."""
        for port in service.each("spec", "ports"):
            ours = _class(port)
            if not ours:
                continue
            declared = cluster.derive(_by_target).get(_key(service, port, cluster))
            other = declared.otherwise_before(port) if declared is not None else None
            if other is None:
                continue
            if istio_mesh.membership_of(service, cluster) not in ("all", "some"):
                return
            yield self.finding(
                port,
                f"container port {_key(service, port, cluster)[2]} is {istio_mesh.protocol(port)} "
                f"here ({istio_mesh.declaration(port)}) and {istio_mesh.protocol(other)} in "
                f"Service {other.ref.name} ({istio_mesh.declaration(other)})",
                because=(other,),
                advice="Declare the same protocol wherever this container port is named",
            )


def _class(port: Field) -> str:
    protocol = istio_mesh.protocol(port)
    return "http" if protocol in istio_mesh.HTTP else "raw" if protocol in _RAW else ""


_Key = tuple[str, frozenset[tuple[str, str]], int | None]


def _key(service: Resource, port: Field, cluster: Cluster) -> _Key:
    selector = frozenset(service.labels("spec", "selector").items())
    return service.namespace, selector, istio_mtls.target_port(cluster, service, port)


@dataclass(frozen=True)
class _Declared:
    """The ports of Services with one selector for one container port, oldest Service first."""

    ranks: dict[Field, int]
    first: dict[str, Field]  #: of each class

    def otherwise_before(self, port: Field) -> Field | None:
        """The first that is declared otherwise, if it comes before this one."""
        ours = _class(port)
        others = [other for each, other in self.first.items() if each not in ("", ours)]
        other = min(others, key=self.ranks.__getitem__, default=None)
        return other if other is not None and self.ranks[other] < self.ranks[port] else None


def _declared(ports: Sequence[Field]) -> _Declared:
    first: dict[str, Field] = {}
    for port in ports:
        first.setdefault(_class(port), port)
    return _Declared({port: rank for rank, port in enumerate(ports)}, first)


def _by_target(cluster: Cluster) -> Mapping[_Key, _Declared]:
    index: dict[_Key, list[Field]] = defaultdict(list)
    for service in istio_mesh.by_age(cluster, kinds.SERVICE):
        if service.labels("spec", "selector"):
            for port in service.each("spec", "ports"):
                key = _key(service, port, cluster)
                if key[2] is not None:
                    index[key].append(port)
    return {key: _declared(ports) for key, ports in index.items() if len(ports) > 1}
