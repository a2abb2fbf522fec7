"""What cert-manager's ingress-shim and gateway-shim make Certificates of, and what they pass over.

Rule: cert-manager 1.21, pkg/controller/certificate-shim/sync.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import cert_manager, gateway_api


@dataclass(frozen=True, slots=True)
class Asked:
    """A Certificate that a shim makes: named like its Secret."""

    field: Field  #: that names the Secret
    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A tls entry or listener of which no Certificate is made."""

    field: Field
    why: str
    advice: str
    secret: tuple[str, str] | None  #: namespace and name of the Secret it serves, if it names one


def is_annotated(resource: Resource) -> bool:
    """Whether cert-manager was asked for certificates here."""
    return bool(
        resource.annotation(cert_manager.ISSUER) or resource.annotation(cert_manager.CLUSTER_ISSUER)
    )


def repeated(ingress: Resource) -> Iterator[tuple[str, tuple[Field, ...]]]:
    """Secret names that stand in several tls entries of one Ingress: then none is handled."""
    entries = list(ingress.each("spec", "tls"))
    count = Counter(entry.text("secretName") for entry in entries)
    for name, times in count.items():
        if name and times > 1:
            yield name, tuple(entry for entry in entries if entry.text("secretName") == name)


def asked(resource: Resource) -> Iterator[Asked]:
    """The Certificates that the shim makes of an annotated Ingress or Gateway."""
    if not is_annotated(resource):
        return
    if resource.ref.kind == kinds.INGRESS:
        for entry in resource.each("spec", "tls"):
            name, hosts = entry.text("secretName"), entry.texts("hosts")
            if name and hosts:
                yield Asked(entry.at("secretName"), name, hosts)
        return
    by_secret: dict[str, list[gateway_api.Listener]] = {}
    for listener in gateway_api.listeners(resource):
        if listener.tls_mode == "Terminate" and listener.hostname:
            for reference in listener.field.each("tls", "certificateRefs"):
                if reference.text("namespace") in ("", resource.namespace):
                    by_secret.setdefault(reference.text("name"), []).append(listener)
    for name, of_secret in by_secret.items():
        references = of_secret[0].field.each("tls", "certificateRefs")
        first = next(r for r in references if r.text("name") == name)
        yield Asked(first.at("name"), name, tuple(li.hostname for li in of_secret))


def passed_over(resource: Resource) -> Iterator[PassedOver]:
    """The entries of an annotated Ingress or Gateway of which no Certificate is made."""
    if not is_annotated(resource):
        return
    if resource.ref.kind == kinds.INGRESS:
        yield from _of_ingress(resource)
    else:
        yield from _of_gateway(resource)


def _of_ingress(ingress: Resource) -> Iterator[PassedOver]:
    named = {
        host
        for entry in ingress.each("spec", "tls")
        if entry.text("secretName")
        for host in entry.texts("hosts")
    }
    for entry in ingress.each("spec", "tls"):
        name, hosts = entry.text("secretName"), entry.texts("hosts")
        if not name and not (hosts and set(hosts) <= named):
            advice = "Give the entry a secretName, or take it away"
            yield PassedOver(entry, "it has no secretName", advice, None)
        elif name and not hosts:
            advice = "List under hosts the names that the certificate is for"
            yield PassedOver(entry, "it has no hosts", advice, (ingress.namespace, name))


def _of_gateway(gateway: Resource) -> Iterator[PassedOver]:
    for listener in gateway_api.listeners(gateway):
        if listener.tls_mode != "Terminate":
            continue
        references = list(listener.field.each("tls", "certificateRefs"))
        if not references:
            advice = "Name under certificateRefs the Secret that cert-manager is to write"
            yield PassedOver(listener.field, "it has no certificateRefs", advice, None)
            continue
        reference = references[0]
        if reference.text("group") or reference.text("kind") not in ("", "Secret"):
            continue  # another controller's kind: nothing that cert-manager could write
        namespace = reference.text("namespace") or gateway.namespace
        secret = (namespace, reference.text("name"))
        if not listener.hostname:
            advice = "Give the listener a hostname, or make a Certificate by hand"
            yield PassedOver(listener.field, "it has no hostname", advice, secret)
        elif namespace != gateway.namespace:
            advice = f"Make a Certificate by hand in the namespace {namespace}"
            why = "its Secret lies in another namespace"
            yield PassedOver(reference.at("namespace"), why, advice, secret)
