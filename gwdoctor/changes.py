"""A change as what one applies: a manifest, a JSON patch, a diff, a kubectl line.

Everything derives from the two whole objects of a `Change`; nothing is written by hand, so no
rendering can say something else than the others.
"""

from __future__ import annotations

import copy
import difflib
import json
import shlex
from collections.abc import Iterator
from typing import Any

from gwdoctor.model import Change, Field, Fix, Ref
from gwdoctor.yamltext.writing import dump

#: The lists that server-side apply merges item by item, with the keys that tell items apart:
#: what the schemas (x-kubernetes-list-map-keys) of the kinds say that fixes change. An item that
#: is taken out of one of them stays. Every other list is replaced whole.
MERGED_LISTS: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {
    ("Service", ("spec", "ports")): ("port", "protocol"),
    ("Gateway.gateway.networking.k8s.io", ("spec", "listeners")): ("name",),
    ("Gateway.gateway.networking.k8s.io", ("spec", "tls", "frontend", "perPort")): ("port",),
    ("ListenerSet.gateway.networking.k8s.io", ("spec", "listeners")): ("name",),
    ("ServiceEntry.networking.istio.io", ("spec", "ports")): ("name",),
}
_DEFAULTS = {"protocol": "TCP"}


def field_manager(finding_id: str) -> str:
    """The owner under which the fix of a finding is applied: one of its own.

    Server-side apply takes away what an owner said before and no longer says. Under kubectl's own
    name a small manifest would strip the object of all the rest; under one name for all fixes,
    the second fix of an object would undo the first.
    """
    return f"gwdoctor-{finding_id.rpartition('-')[2]}"


def apply_command(finding_id: str, file: str = "-") -> str:
    """The line that applies the manifests of a fix."""
    manager = field_manager(finding_id)
    return f"kubectl apply --server-side --force-conflicts --field-manager={manager} -f {file}"


def manifest(change: Change) -> dict[str, Any] | None:
    """The smallest object that server-side apply takes for this change.

    Identity and every field that is new or different; a list is whole, and so is an object that
    is created. None where nothing is left for apply: a deletion, or fields only taken away.
    """
    if change.after is None:
        return None
    if change.before is None:
        return copy.deepcopy(change.after)
    told = _told(change.before, change.after)
    if not told:
        return None
    metadata = {"name": change.ref.name}
    if change.ref.namespace:
        metadata["namespace"] = change.ref.namespace
    smallest: dict[str, Any] = {
        "apiVersion": change.after["apiVersion"],
        "kind": change.after["kind"],
        "metadata": metadata | told.pop("metadata", {}),
    }
    return smallest | told


def _told(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Of `after`, what differs from `before`."""
    told: dict[str, Any] = {}
    for key, value in after.items():
        old = before.get(key)
        if _same(value, old):
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            inner = _told(old, value)
            if inner:
                told[key] = inner
        else:
            told[key] = copy.deepcopy(value)
    return told


def removes(change: Change) -> tuple[str, ...]:
    """JSON pointers to what this change takes away and server-side apply would leave there.

    A fix with any of these needs a command beside its manifests.
    """
    if change.before is None or change.after is None:
        return ()
    before, after = Field(change.ref, (), change.before), Field(change.ref, (), change.after)
    return tuple(sorted(_removed(before, after)))


def _removed(before: Field, after: Field) -> Iterator[str]:
    if isinstance(before.value, dict) and isinstance(after.value, dict):
        for key in before.value:
            if key in after.value:
                yield from _removed(before.at(key), after.at(key))
            else:
                yield before.at(key).pointer
    elif isinstance(before.value, list) and isinstance(after.value, list):
        keys = _merge_keys(before)
        if keys is None:
            return
        kept = {_identity(item, keys): item for item in after.each()}
        for item in before.each():
            same = kept.get(_identity(item, keys))
            if same is None:
                yield item.pointer
            else:
                yield from _removed(item, same)


def _merge_keys(items: Field) -> tuple[str, ...] | None:
    path = tuple(str(step) for step in items.path)
    return MERGED_LISTS.get((str(items.ref.kind), path))


def _identity(item: Field, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.at(key).value or _DEFAULTS.get(key) for key in keys)


def is_patched(change: Change, fix: Fix) -> bool:
    """Whether a fix makes this change by a patch: it takes away what apply would leave, and the
    fix has no command of its own that does."""
    return not fix.commands and bool(removes(change))


def manifests(fix: Fix) -> list[dict[str, Any]]:
    """What one applies for a fix."""
    made = (manifest(change) for change in fix.changes if not is_patched(change, fix))
    return [one for one in made if one is not None]


def commands(fix: Fix) -> list[str]:
    """What one runs after it: deletions, patches for what apply cannot say, the fix's own lines."""
    patched = [change for change in fix.changes if is_patched(change, fix)]
    deleted = [change for change in fix.changes if change.after is None]
    return [*map(kubectl, deleted), *map(kubectl, patched), *fix.commands]


def json_patch(change: Change) -> list[dict[str, Any]]:
    """RFC 6902: from `before` to `after`, refusing an object that has moved since it was read.

    A `test` stands before everything that is replaced or removed. Empty for an object that is
    created or deleted whole.
    """
    if change.before is None or change.after is None:
        return []
    return list(_patch(Field(change.ref, (), change.before), change.after))


def _patch(old: Field, new: Any) -> Iterator[dict[str, Any]]:
    if _same(old.value, new):
        return
    if isinstance(old.value, dict) and isinstance(new, dict):
        for key in sorted(old.value.keys() | new.keys()):
            spot = old.at(key)
            if key not in new:
                yield {"op": "test", "path": spot.pointer, "value": spot.value}
                yield {"op": "remove", "path": spot.pointer}
            elif key not in old.value:
                yield {"op": "add", "path": spot.pointer, "value": new[key]}
            else:
                yield from _patch(spot, new[key])
    else:
        yield {"op": "test", "path": old.pointer, "value": old.value}
        yield {"op": "replace", "path": old.pointer, "value": new}


def diff(change: Change) -> str:
    """A unified diff of the YAML of both sides."""
    (before, old), (after, new) = (
        (dump(side).splitlines(keepends=True), str(change.ref)) if side else ([], "/dev/null")
        for side in (change.before, change.after)
    )
    return "".join(difflib.unified_diff(before, after, old, new))


def kubectl(change: Change) -> str:
    """One line that makes this change; empty for a creation, which needs its manifest."""
    if change.before is None:
        return ""
    if change.after is None:
        return f"kubectl delete {_object(change.ref)}"
    patch = json.dumps(json_patch(change), separators=(",", ":"))
    return f"kubectl patch {_object(change.ref)} --type json -p {shlex.quote(patch)}"


def _object(ref: Ref) -> str:
    where = f" -n {shlex.quote(ref.namespace)}" if ref.namespace else ""
    return f"{str(ref.kind).lower()} {shlex.quote(ref.name)}{where}"


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: `True` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
