"""Events, and the object each is about."""

from __future__ import annotations

from gwdoctor import kinds
from gwdoctor.model import Kind, Ref, Resource


def involved(event: Resource) -> Ref | None:
    """The object of an event, as it would be found in a cluster; None where it names none.

    Pods are looked for as they are read when their containers matter (`kinds.POD_WHOLE`).
    """
    about = event.at("involvedObject")
    name, kind = about.text("name"), about.text("kind")
    if not name or not kind:
        return None
    group, _, version = about.text("apiVersion").rpartition("/")
    found = kinds.POD_WHOLE if (kind, group) == ("Pod", "") else Kind(kind, group)
    return Ref(found, about.text("namespace"), name, version)
