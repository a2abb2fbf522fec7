"""Where requests go and break: hostname, listener, route, Service, endpoints.

Put together from the joins of each system; a hop that a reference leads to and that is not there
is broken, one that cannot be looked at is not seen. What the checks found is laid over it in
`request_findings`.
"""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.entry import RequestMap
from gwdoctor.resolve import (
    gateway_api,
    istio_gateways,
    istio_virtual_services,
    request_backends,
    request_gateway_api,
    request_ingress,
    request_istio,
)
from gwdoctor.resolve.request_draft import Draft

#: What it reads.
KINDS = (
    *gateway_api.ROUTES,
    *gateway_api.PARENT_NEEDS,
    *istio_gateways.GATEWAYS,
    *istio_gateways.READS,
    *istio_virtual_services.READS,
    *request_backends.KINDS,
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
)


def drafted(cluster: Cluster) -> Draft:
    """The map without the findings."""
    draft = Draft(cluster)
    request_gateway_api.add_routes(draft)
    request_gateway_api.add_listeners(draft)
    request_istio.add(draft)
    request_ingress.add(draft)
    return draft


def finished(draft: Draft) -> RequestMap:
    """The map as plain data."""
    return RequestMap(draft.hosts(), draft.listeners, draft.routes, draft.backends.found)
