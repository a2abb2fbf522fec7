"""The right half of the map of requests: Services and what else routes lead to, and endpoints."""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Backend, Hop, Named, State
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import istio_mesh, services
from gwdoctor.resolve.gateway_api import BackendRef
from gwdoctor.resolve.istio_routes import Destination, full_host
from gwdoctor.resolve.request_spots import Spots

#: What it reads.
KINDS = (
    kinds.SERVICE,
    kinds.ENDPOINT_SLICE,
    kinds.BACKEND,
    kinds.SERVICE_ENTRY,
    kinds.CONFIG_MAP,
)
_Port = int | str | None


def named(resource: Resource) -> Named:
    """An object as the report names it."""
    ref = resource.ref
    return Named(ref.api_version, ref.kind.name, ref.name, ref.namespace)


def named_as(kind: Kind, namespace: str, name: str, cluster: Cluster) -> Named:
    """The same for one that was not read."""
    version = cluster.api_version(kind) if kind in kinds.READINGS else kind.group
    return Named(version, kind.name, name, namespace)


class Backends:
    """Every backend once, in the order in which routes come to it."""

    def __init__(self, cluster: Cluster, spots: Spots) -> None:
        self.found: list[Backend] = []
        self._cluster = cluster
        self._spots = spots
        self._known: dict[tuple[object, ...], int] = {}

    def of_reference(self, reference: BackendRef) -> int:
        """Where a backendRef of a Gateway API route leads."""
        namespace, name, kind = reference.namespace, reference.name, reference.kind
        if kind == kinds.SERVICE:
            return self.service(namespace, name, reference.port, reference.field)
        key = (kind, namespace, name, reference.port)
        if key not in self._known:
            self._add(key, self._other(kind, namespace, name))
        return self._told(key, reference.field)

    def of_destination(self, destination: Destination) -> int:
        """Where a destination of a VirtualService leads."""
        namespace, cluster = destination.owner.namespace, self._cluster
        host = full_host(destination, cluster)
        service = istio_mesh.service_key(host, namespace, cluster)
        elsewhere = host.endswith((".clusterset.local", ".global"))
        if service is not None and not elsewhere and not self._is_only_an_entry(host, service):
            return self.service(*service, destination.port, destination.field)
        key = ("host", host, destination.port)
        if key not in self._known:
            self._add(key, Backend(self._of_host(host, destination.port)))
        return self._told(key, destination.field)

    def service(self, namespace: str, name: str, port: _Port, field: Field) -> int:
        """A port of a Service; `field` is what leads there."""
        key = (kinds.SERVICE, namespace, name, port)
        if key not in self._known:
            self._add(key, self._service(namespace, name, port))
        return self._told(key, field)

    def resource(self, namespace: str, field: Field) -> int:
        """The `resource` of an Ingress backend: a bucket, a facade; nothing is known of these."""
        wanted = field.at("resource")
        kind = Kind(wanted.text("kind"), wanted.text("apiGroup"))
        key = (kind, namespace, wanted.text("name"))
        if key not in self._known:
            self._add(key, self._other(kind, namespace, wanted.text("name")))
        return self._told(key, field)

    def _add(self, key: tuple[object, ...], backend: Backend) -> None:
        self._known[key] = len(self.found)
        self.found.append(backend)

    def _told(self, key: tuple[object, ...], field: Field) -> int:
        """What is wrong with a reference is wrong with where it leads."""
        position = self._known[key]
        self._spots.add(field, self.found[position].service)
        return position

    def _service(self, namespace: str, name: str, port: _Port) -> Backend:
        part = f"port {port}" if port is not None else ""
        hop = Hop(State.OK, part=part)
        try:
            service = self._cluster.get(kinds.SERVICE, namespace, name)
        except OutOfView as hidden:
            service, hop.state, hop.says = None, State.UNSEEN, hidden.gap.reason
        else:
            if service is None:
                hop.state, hop.says = State.BROKEN, "does not exist"
        if service is None:
            hop.object = named_as(kinds.SERVICE, namespace, name, self._cluster)
            return Backend(hop)
        hop.object = named(service)
        outside = services.external_name(service)
        if outside:
            self._spots.add(service, hop, whole=True)
            return Backend(hop, Hop(State.OK, outside, says="outside the cluster"))
        spot = services.port(service, port) if port is not None else None
        if spot is None and port is not None:
            hop.state, hop.says = State.BROKEN, "has no such port"
            self._spots.add(service, hop, whole=True)
            return Backend(hop)
        self._spots.add(spot or service, hop, whole=True)
        endpoints = self._endpoints(service)
        self._spots.add(service.at("spec", "selector"), endpoints)
        return Backend(hop, endpoints)

    def _endpoints(self, service: Resource) -> Hop:
        try:
            found = services.endpoints(self._cluster, service)
        except OutOfView as hidden:
            return Hop(State.UNSEEN, "endpoints", says=hidden.gap.reason)
        ready = {_who(e) for e in found if services.still_serves(e)}
        every = {_who(endpoint) for endpoint in found}
        state = State.OK if ready else State.BROKEN
        return Hop(state, f"{len(ready)} of {len(every)} ready")

    def _other(self, kind: Kind, namespace: str, name: str) -> Backend:
        """Envoy Gateway's Backend; of other kinds nothing is known."""
        if kind != kinds.BACKEND:
            target = named_as(kind, namespace, name, self._cluster)
            return Backend(Hop(State.UNSEEN, object=target, says="of a kind that is not read"))
        try:
            found = self._cluster.get(kind, namespace, name)
        except OutOfView as hidden:
            state, says = State.UNSEEN, hidden.gap.reason
        else:
            state, says = (State.OK, "") if found else (State.BROKEN, "does not exist")
            if found is not None:
                hop = Hop(state, object=named(found))
                self._spots.add(found, hop, whole=True)
                return Backend(hop)
        return Backend(Hop(state, object=named_as(kind, namespace, name, self._cluster), says=says))

    def _is_only_an_entry(self, host: str, service: tuple[str, str]) -> bool:
        """Whether a host looks like a Service's, and a ServiceEntry alone has it."""
        try:
            absent = self._cluster.get(kinds.SERVICE, *service) is None
            return absent and bool(istio_mesh.service_entries(host, self._cluster))
        except OutOfView:
            return False

    def _of_host(self, host: str, port: _Port) -> Hop:
        """A host of Istio's registry that is no Service of this cluster."""
        part = f"port {port}" if port is not None else ""
        if host.endswith((".clusterset.local", ".global")):
            return Hop(State.UNSEEN, host, part, says="in other clusters")
        try:
            entries = istio_mesh.service_entries(host, self._cluster)
            if not entries:
                self._cluster.every(kinds.SERVICE_ENTRY)
        except OutOfView as hidden:
            return Hop(State.UNSEEN, host, part, says=hidden.gap.reason)
        if not entries:
            return Hop(State.BROKEN, host, part, says="no Service or ServiceEntry has this host")
        hop = Hop(State.OK, host, part, object=named(entries[0]))
        self._spots.add(entries[0], hop, whole=True)
        return hop


def _who(endpoint: Field) -> str:
    """One Pod counts once, also where it has an address of each family."""
    return endpoint.text("targetRef", "name") or ", ".join(endpoint.texts("addresses"))
