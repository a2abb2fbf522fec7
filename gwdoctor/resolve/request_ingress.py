"""The map of requests through Ingresses."""

from __future__ import annotations

from collections.abc import Sequence

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.entry import Hop, State
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts, ingress
from gwdoctor.resolve.request_backends import named
from gwdoctor.resolve.request_draft import Draft


def add(draft: Draft) -> None:
    """The rules of Ingresses, by host; the class stands for the listener."""
    for found in draft.cluster.seen(kinds.INGRESS):
        if ingress.is_acme_solver(found):
            continue
        by_host: dict[str, list[ingress.Backend]] = {}
        for backend in ingress.backends(found):
            by_host.setdefault(backend.host, []).append(backend)
        secured = _Secured(found)
        for host, backends in by_host.items():
            _ingress(draft, found, host, backends, secured.of(host))


class _Secured:
    """The tls entries of an Ingress by their hosts: it may have as many as it has rules."""

    def __init__(self, owner: Resource) -> None:
        self._entries = list(owner.each("spec", "tls"))
        self._by_name: dict[str, list[int]] = {}
        for number, entry in enumerate(self._entries):
            for name in entry.texts("hosts") or ("",):
                self._by_name.setdefault(name.lower().rstrip("."), []).append(number)

    def of(self, host: str) -> list[Field]:
        """Those that cover a host, as certificates do, and those that name none."""
        names = ("", *hosts.names_that_cover(host))
        numbers = {number for name in names for number in self._by_name.get(name, ())}
        return [self._entries[number] for number in sorted(numbers)]


def _ingress(
    draft: Draft,
    owner: Resource,
    host: str,
    backends: list[ingress.Backend],
    secured: Sequence[Field],
) -> None:
    hop = Hop(State.OK, _class(owner, draft.cluster), "HTTPS" if secured else "HTTP", named(owner))
    listener, _ = draft.listener((owner.ref, host), hop)
    for spot in (ingress.class_field(owner), ingress.class_annotation(owner), *secured):
        draft.spots.add(spot, hop)
    answer = Hop(State.OK, "", object=named(owner))
    route, _ = draft.route((owner.ref, host), answer)
    for place in dict.fromkeys(_rule(owner, backend) for backend in backends):
        draft.spots.add(place, answer, whole=True)
    draft.leads(route, (_backend(draft, owner, backend) for backend in backends))
    draft.way(host, listener, route)


def _rule(owner: Resource, backend: ingress.Backend) -> Field:
    """The rule that a backend stands in; the default backend for itself."""
    return owner.at(*backend.field.path[:3]) if backend.path is not None else backend.field


def _backend(draft: Draft, owner: Resource, backend: ingress.Backend) -> int:
    if backend.service:
        return draft.backends.service(owner.namespace, backend.service, backend.port, backend.field)
    return draft.backends.resource(owner.namespace, backend.field)


def _class(owner: Resource, cluster: Cluster) -> str:
    """The class of an Ingress in words, as its controller would read it."""
    name = ingress.class_field(owner).text() or ingress.class_annotation(owner).text()
    if name:
        return f"class {name}"
    try:
        default = ingress.default_class(cluster)
    except OutOfView:
        return "the default class"
    return f"class {default.name} (default)" if default is not None else "no class"
