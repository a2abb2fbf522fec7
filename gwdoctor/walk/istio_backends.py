"""What Istio's proxies speak to a backend: by port declaration and DestinationRule."""

from __future__ import annotations

from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import istio_mesh, istio_rules
from gwdoctor.walk import backends
from gwdoctor.walk.backends import Caller
from gwdoctor.walk.hops import Hop


def caller(namespace: str, cluster: Cluster, *, is_tcp: bool, is_tls: bool = False) -> Caller:
    """A gateway or sidecar in this namespace. `is_tcp`: it passes bytes on; `is_tls`: TLS ones."""

    def speaks(service: Resource, port: Field) -> Hop:
        return _protocol(service, port, namespace, cluster, is_tcp=is_tcp, is_tls=is_tls)

    return Caller(speaks, in_mesh=True, namespace=namespace or istio_rules.ANYWHERE)


def _protocol(
    service: Resource,
    port: Field,
    namespace: str,
    cluster: Cluster,
    *,
    is_tcp: bool,
    is_tls: bool,
) -> Hop:
    host = istio_mesh.host_of(service, cluster)
    client = namespace or istio_rules.ANYWHERE
    rules: tuple[Resource, ...] = ()
    hidden = ""
    try:
        rules = tuple(istio_rules.selected(cluster, client, host, service.namespace))
    except OutOfView as gap:
        hidden = f"DestinationRules are not seen ({gap.gap.reason})" if gap.gap.claimed else ""
    tls_by = next(
        (
            (rule, tls.mode)
            for rule in rules
            for tls in istio_rules.client_tls(rule, port.number("port"))
            if not tls.subset and tls.mode in ("SIMPLE", "MUTUAL")
        ),
        None,
    )
    if tls_by is not None:
        says = f"TLS ({tls_by[1]}), as {tls_by[0].ref} says"
        hop = backends.protocol(says, service, port, cluster, tls=True)
    elif is_tcp:
        says = "TLS of the client" if is_tls else "what the client sends"
        hop = backends.protocol(says, service, port, cluster, tls=is_tls)
    else:
        declared = istio_mesh.protocol(port)
        spoken = "HTTP/2" if declared in istio_mesh.HTTP2 else "HTTP/1.1"
        says = f"{spoken}: the port is {istio_mesh.declaration(port)}"
        if declared in ("HTTPS", "TLS"):
            says = f"plain HTTP to a port {istio_mesh.declaration(port)}: no DestinationRule starts TLS"
        hop = backends.protocol(says, service, port, cluster, tls=False)
    hop.spots += rules
    hop.unverified = hop.unverified or hidden
    return hop
