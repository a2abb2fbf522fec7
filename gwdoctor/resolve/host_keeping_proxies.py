"""Reverse proxies in the mesh that ask their upstream for the Host that their client sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import istio_mesh

#: By what their image is called, and the flag that names their upstream. Go's
#: NewSingleHostReverseProxy, which the first uses, keeps the Host; the second does by default.
PROXIES = {"prom-label-proxy": "--upstream", "oauth2-proxy": "--upstream"}


def callers(service: Resource, cluster: Cluster) -> Mapping[int, Field]:
    """The ports of a Service that an injected proxy calls, and the argument that says so."""
    return cluster.derive(_callers).get((service.namespace, service.name), {})


def _callers(cluster: Cluster) -> Mapping[tuple[str, str], Mapping[int, Field]]:
    found: dict[tuple[str, str], dict[int, Field]] = {}
    for pod in cluster[kinds.POD_WHOLE]:
        if not istio_mesh.has_sidecar(pod):
            continue
        for container in pod.each("spec", "containers"):
            for argument in _upstreams(container):
                url = urlsplit(argument.text().rpartition("=")[2])
                key = istio_mesh.service_key(url.hostname or "", pod.namespace, cluster)
                try:
                    number = url.port or 80
                except ValueError:
                    continue
                if url.scheme == "http" and key is not None:
                    found.setdefault(key, {}).setdefault(number, argument)
    return found


def _upstreams(container: Field) -> Iterator[Field]:
    flag = next((f for name, f in PROXIES.items() if name in container.text("image")), "")
    arguments = [*container.each("command"), *container.each("args")]
    if not flag or any(a.text() == "--pass-host-header=false" for a in arguments):
        return
    for argument, following in zip(arguments, [*arguments[1:], None], strict=False):
        if argument.text().startswith(f"{flag}="):
            yield argument
        elif argument.text() == flag and following is not None:
            yield following
