"""References from one Gateway API object to another that may need a ReferenceGrant.

Rules: gateway-api 1.6, apis/v1/referencegrant_types.go and the conformance suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import gateway_api

#: The kinds with such references. Grants are not inherited: a ListenerSet needs its own.
REFERRERS = (*gateway_api.ROUTES, kinds.GATEWAY, kinds.LISTENER_SET)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a field of `owner` leads."""

    owner: Resource
    field: Field
    kind: Kind
    namespace: str
    name: str

    @property
    def crosses(self) -> bool:
        """Whether it leaves the namespace."""
        return self.namespace != self.owner.namespace

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"


def references(owner: Resource) -> Iterator[Reference]:
    """The references of a route, Gateway or ListenerSet for which a grant may be needed."""
    if owner.ref.kind in gateway_api.ROUTES:
        for backend in gateway_api.backend_refs(owner):
            yield Reference(owner, backend.field, backend.kind, backend.namespace, backend.name)
        return
    for listener in gateway_api.listeners(owner):
        for spot in listener.field.each("tls", "certificateRefs"):
            yield _reference(owner, spot, "Secret")
    yield from authorities(owner)
    client = owner.at("spec", "tls", "backend", "clientCertificateRef")
    if client.has():
        yield _reference(owner, client, "Secret")


def authorities(gateway: Resource) -> Iterator[Reference]:
    """The certificate authorities by which a Gateway judges clients, for all or for one port."""
    frontend = gateway.at("spec", "tls", "frontend")
    for validation in (
        frontend.at("default", "validation"),
        *(entry.at("tls", "validation") for entry in frontend.each("perPort")),
    ):
        for spot in validation.each("caCertificateRefs"):
            yield _reference(gateway, spot, "ConfigMap")


def _reference(owner: Resource, spot: Field, kind: str) -> Reference:
    return Reference(
        owner,
        spot,
        Kind(spot.text("kind") or kind, spot.text("group")),
        spot.text("namespace") or owner.namespace,
        spot.text("name"),
    )
