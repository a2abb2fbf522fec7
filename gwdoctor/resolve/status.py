"""Conditions, and whether they still speak of the object as it is."""

from __future__ import annotations

from gwdoctor.model import Field, Resource


def condition(owner: Field, kind: str) -> Field | None:
    """The condition of this type in `owner.conditions` (`owner` is the status or a part of it)."""
    return next((c for c in owner.each("conditions") if c.text("type") == kind), None)


def is_current(resource: Resource, condition: Field) -> bool:
    """Whether the controller wrote this condition about the present generation of the object.

    Conditions that a CRD defaults in carry no observedGeneration: no controller wrote them.
    """
    observed = condition.number("observedGeneration")
    generation = resource.number("metadata", "generation")
    return observed is not None and (generation is None or observed >= generation)


def says(resource: Resource, owner: Field, kind: str, value: str) -> Field | None:
    """The condition of this type, if it is current and its status is `value` ("True", "False")."""
    found = condition(owner, kind)
    if found is None or found.text("status") != value or not is_current(resource, found):
        return None
    return found
