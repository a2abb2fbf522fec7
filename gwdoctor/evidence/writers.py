"""The containers whose logs are worth reading: those of the entry, and what findings speak of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.evidence import signatures
from gwdoctor.model import Finding, Ref, Resource
from gwdoctor.resolve import istio_mesh, services

#: So many logs are read at most, and so many of Pods that one workload made.
MOST = 40
MOST_ALIKE = 3
#: What finding the writers reads.
READS = (kinds.POD, kinds.POD_WHOLE, kinds.SERVICE)
_SIDECAR = "istio-proxy"
_IMAGES = {
    "kong": signatures.KONG,
    "kong-gateway": signatures.KONG,
    "kubernetes-ingress-controller": signatures.KONG_CONTROLLER,
    "cert-manager-controller": signatures.CERT_MANAGER,
}
_PROXIES = frozenset({"proxyv2", "envoy"})
_OWNERS = ("gateway.envoyproxy.io/owning-gateway-name", istio_mesh.GATEWAY_NAME)
#: What of its state says that a Pod has no log, or none that is about now.
_NOT_RUNNING = frozenset({"Pending", "Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, order=True)
class Writer:
    """A container, and what runs in it (see `signatures`)."""

    namespace: str
    pod: str
    container: str
    log: str

    @property
    def ref(self) -> Ref:
        """The Pod."""
        return Ref(kinds.POD, self.namespace, self.pod, "v1")


def writers(cluster: Cluster, findings: Iterable[Finding]) -> list[Writer]:
    """Whom to listen to, those of the entry first."""
    provable = {check for signature in signatures.SIGNATURES for check in signature.proves}
    concerned = [finding for finding in findings if finding.check in provable]
    everyone = dict.fromkeys((*_of_the_entry(cluster), *_sidecars(cluster, concerned)))
    alike: Counter[tuple[str, ...]] = Counter()
    chosen = []
    for writer in everyone:
        family = (writer.namespace, _family(writer, cluster), writer.container)
        alike[family] += 1
        if alike[family] <= MOST_ALIKE:
            chosen.append(writer)
    return list(islice(chosen, MOST))


def _family(writer: Writer, cluster: Cluster) -> str:
    """What made the Pod: its owner, or itself."""
    for kind in (kinds.POD_WHOLE, kinds.POD):
        pod = cluster.find(Ref(kind, writer.namespace, writer.pod))
        if pod is not None:
            owners = [owner.text("name") for owner in pod.each("metadata", "ownerReferences")]
            return owners[0] if owners else writer.pod
    return writer.pod


def _of_the_entry(cluster: Cluster) -> Iterator[Writer]:
    """Proxies of gateways, Kong, its controller, cert-manager: known by what they run."""
    try:
        pods = cluster[kinds.POD_WHOLE]
    except (OutOfView, LookupError):
        return
    for pod in pods:
        if pod.text("status", "phase") in _NOT_RUNNING:
            continue
        for container in pod.each("spec", "containers"):
            log = _log_of(pod, container.text("image"))
            if log and container.text("name"):
                yield Writer(pod.namespace, pod.name, container.text("name"), log)


def _log_of(pod: Resource, image: str) -> str:
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if name in _PROXIES:
        is_gateway = istio_mesh.is_gateway(pod) or any(map(pod.label, _OWNERS))
        return signatures.GATEWAY if is_gateway else ""
    return _IMAGES.get(name, "")


def _sidecars(cluster: Cluster, findings: Collection[Finding]) -> Iterator[Writer]:
    """Istio's proxies in the Pods that findings name, and behind the Services that they name."""
    for pod in dict.fromkeys(_named(cluster, findings)):
        if istio_mesh.has_sidecar(pod) and not istio_mesh.is_gateway(pod):
            yield Writer(pod.namespace, pod.name, _SIDECAR, signatures.SIDECAR)


def _named(cluster: Cluster, findings: Collection[Finding]) -> Iterator[Resource]:
    for finding in findings:
        for spot in (finding.field, *finding.because):
            ref = spot.ref
            if ref.kind.name == "Pod" and not ref.kind.group:
                found = cluster.find(Ref(kinds.POD, ref.namespace, ref.name))
                if found is not None:
                    yield found
            elif ref.kind == kinds.SERVICE:
                service = cluster.find(ref)
                if service is not None:
                    try:
                        yield from islice(services.pods(cluster, service), MOST_ALIKE)
                    except OutOfView:
                        continue
