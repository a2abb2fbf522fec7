"""Handshakes as checks look at them: who asked, what was shown, how it is quoted."""

from __future__ import annotations

from gwdoctor.cluster import Cluster
from gwdoctor.evidence.cleaning import clean
from gwdoctor.model import Evidence, Field, Kind, Ref, Resource
from gwdoctor.resolve import certificates


def owner(handshake: Resource, cluster: Cluster) -> Field | None:
    """The field that asks for what was to be shown; None where it is not in the picture."""
    told = handshake.at("owner")
    group, _, version = told.text("apiVersion").rpartition("/")
    ref = Ref(Kind(told.text("kind"), group), told.text("namespace"), told.text("name"), version)
    found = cluster.find(ref)
    steps = told.at("path").value
    if found is None or not isinstance(steps, list):
        return None
    return found.at(*(step for step in steps if isinstance(step, str | int)))


def leaf(handshake: Resource) -> Field | None:
    """The certificate that was shown, if any was."""
    return next(iter(handshake.each("certificates")), None)


def place(handshake: Resource) -> str:
    """Where it was shown, and for which name."""
    address, host = handshake.text("address"), handshake.text("host")
    return clean(f"{address}{f' (SNI {host})' if host else ''}", 200)


def quoted(handshake: Resource, about: Ref) -> Evidence:
    """The handshake as evidence."""
    return Evidence(source="handshake", ref=about, text=f"{place(handshake)}: {_said(handshake)}")


def _said(handshake: Resource) -> str:
    certificate = leaf(handshake)
    if certificate is None:
        told = handshake.text("told")
        return clean(f"{handshake.text('problem')}{f': {told}' if told else ''}")
    names = ", ".join(certificates.names(certificate)[:3])
    words = (
        certificates.label(certificate),
        f"for {names}" if names else "",
        f"serial {certificate.text('serial')}",
        f"valid {certificates.date(certificate.text('notBefore'))} to "
        f"{certificates.date(certificate.text('notAfter'))}",
        handshake.text("version"),
        handshake.text("protocol"),
    )
    return clean(", ".join(word for word in words if word))
