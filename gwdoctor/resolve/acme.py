"""What the words of an ACME server or of a self check mean, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator

from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts

#: Part of the text, and what to do; the first that is found counts.
_REMEDIES = (
    ("there is no CertificateRequest", "See that cert-manager runs and watches the namespace"),
    ("rateLimited", "Wait for the end of the rate limit that the text names"),
    (":caa", "Let the CAA records of the domain admit this authority"),
    (
        "status code '404'",
        "Let /.well-known/acme-challenge/ of the host reach the solver's Service",
    ),
    ("status code '426'", "Let plain HTTP requests to /.well-known/acme-challenge/ through"),
    ("status code '503'", "See why the solver's Pod is not ready behind its Service"),
    ("status code '30", "Take /.well-known/acme-challenge/ out of the redirect to HTTPS"),
    ("self check", "Let the host's name and address be reached from inside the cluster as well"),
    ("not yet propagated", "See that the DNS provider's zone is the one the name servers serve"),
    ("gateway api is not enabled", "Start cert-manager with --enable-gateway-api"),
    ("no configured challenge solvers", "Add a solver whose selector admits the name"),
    ("denied", "Let the approval policy admit the request, or ask for what it admits"),
    ("Denied", "Let the approval policy admit the request, or ask for what it admits"),
    ("unauthorized", "See that the host's DNS leads to this cluster"),
)


def remedy(text: str) -> str:
    """What the text of a failed issuance asks for."""
    return next((what for part, what in _REMEDIES if part in text), "Mend what the text says")


def solvers_for(name: str, certificate: Resource, issuer: Resource) -> Iterator[Field]:
    """The solvers of an ACME issuer whose selector admits a DNS name of a Certificate.

    An absent selector admits all; `dnsNames` are compared as they stand, `dnsZones` as suffixes,
    `matchLabels` with the Certificate's own labels; all that are given must fit.
    Source: cert-manager 1.21, pkg/controller/acmeorders/util.go.
    """
    labels = certificate.own_labels
    for solver in issuer.each("spec", "acme", "solvers"):
        selector = solver.at("selector")
        wanted = selector.labels("matchLabels")
        dns_names, zones = selector.texts("dnsNames"), selector.texts("dnsZones")
        plain = name.removeprefix("*.")
        if any(labels.get(key) != value for key, value in wanted.items()):
            continue
        if dns_names and name not in dns_names:
            continue
        if zones and not any(plain == z or hosts.suffix_covers(f"*.{z}", plain) for z in zones):
            continue
        yield solver
