"""Which Services something of the entry leads to: Ingresses and the routes of Gateway API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field
from gwdoctor.resolve import gateway_api, ingress

#: What `places` reads: declare it in `needs`.
KINDS = (
    kinds.INGRESS,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.TLS_ROUTE,
    kinds.TCP_ROUTE,
)
Places = Mapping[tuple[str, str], Sequence[tuple[Field, int | str | None]]]


def places(cluster: Cluster) -> Places:
    """The fields that name a Service and the port they name, by (namespace, Service name)."""
    return cluster.derive(_places)


def _places(cluster: Cluster) -> Places:
    found: dict[tuple[str, str], list[tuple[Field, int | str | None]]] = defaultdict(list)
    for kind in KINDS:
        try:
            routes = cluster[kind]
        except OutOfView:  # the engine tells which kind; the others still count
            continue
        for route in routes:
            if kind == kinds.INGRESS:
                if ingress.is_acme_solver(route):
                    continue
                for backend in ingress.backends(route):
                    if backend.service:
                        field = backend.field.at("service", "name")
                        found[route.namespace, backend.service].append((field, backend.port))
            else:
                for reference in gateway_api.backend_refs(route):
                    if reference.kind == kinds.SERVICE and reference.weight > 0:
                        key = (reference.namespace, reference.name)
                        found[key].append((reference.field, reference.port))
    return found
