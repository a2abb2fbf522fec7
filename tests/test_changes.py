"""Every rendering of a change says the same."""

from __future__ import annotations

import copy
import json
import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwdoctor import Change, Fix, Kind, Ref, changes

REF = Ref(Kind("Gateway", "gateway.networking.k8s.io"), "infra", "edge", "v1")
HEAD = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}


def change(before: dict[str, Any], after: dict[str, Any], ref: Ref = REF) -> Change:
    metadata = {"name": ref.name, "namespace": ref.namespace}

    def whole(part: dict[str, Any]) -> dict[str, Any]:
        return {**HEAD, **part, "metadata": metadata | part.get("metadata", {})}

    return Change(ref, whole(before), whole(after))


def test_a_manifest_holds_identity_and_what_is_new_or_different() -> None:
    before: dict[str, Any] = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"x": 1, "y": {"z": 1, "keep": 2}},
    }
    after = copy.deepcopy(before)
    after["metadata"]["annotations"] = {"k": "v"}
    after["spec"]["y"]["z"] = 3

    assert changes.manifest(change(before, after)) == {
        **HEAD,
        "metadata": {"name": "edge", "namespace": "infra", "annotations": {"k": "v"}},
        "spec": {"y": {"z": 3}},
    }


def test_a_list_is_whole() -> None:
    before = {"spec": {"listeners": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}}
    after = {"spec": {"listeners": [{"name": "a", "port": 1}, {"name": "b", "port": 3}]}}

    manifest = changes.manifest(change(before, after))

    assert manifest is not None
    assert manifest["spec"] == after["spec"]


def test_one_is_not_true() -> None:
    manifest = changes.manifest(
        change({"spec": {"a": 1, "b": [0]}}, {"spec": {"a": True, "b": [False]}})
    )

    assert manifest is not None
    assert manifest["spec"] == {"a": True, "b": [False]}


def test_a_new_object_is_whole_and_a_deleted_one_has_no_manifest() -> None:
    new = {**HEAD, "metadata": {"name": "edge", "namespace": "infra"}, "spec": {"a": [1]}}

    assert changes.manifest(Change.created(new)) == new
    assert changes.manifest(Change(REF, new, None)) is None
    assert changes.kubectl(Change(REF, new, None)) == (
        "kubectl delete gateway.gateway.networking.k8s.io edge -n infra"
    )
    assert changes.kubectl(Change.created(new)) == ""


def test_what_is_only_taken_away_has_no_manifest_and_is_named() -> None:
    taken = change(
        {"metadata": {"annotations": {"a/b": "c", "d": "e"}}, "spec": {"x": 1}},
        {"metadata": {"annotations": {"d": "e"}}, "spec": {}},
    )

    assert changes.manifest(taken) is None
    assert changes.removes(taken) == ("/metadata/annotations/a~1b", "/spec/x")


def test_an_item_taken_out_of_a_merged_list_stays() -> None:
    before = {"spec": {"listeners": [{"name": "a", "hostname": "x"}, {"name": "b"}]}}
    after = {"spec": {"listeners": [{"name": "a"}]}}

    assert changes.removes(change(before, after)) == (
        "/spec/listeners/0/hostname",
        "/spec/listeners/1",
    )


def test_an_item_taken_out_of_another_list_goes() -> None:
    route = Ref(Kind("HTTPRoute", "gateway.networking.k8s.io"), "infra", "edge", "v1")
    before = {"spec": {"rules": [{"name": "a"}, {"name": "b"}]}}

    assert changes.removes(change(before, {"spec": {"rules": [{"name": "a"}]}}, route)) == ()


def test_ports_of_a_service_are_told_apart_by_number_and_protocol() -> None:
    service = Ref(Kind("Service"), "infra", "edge", "v1")
    before = {"spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}}
    after = {"spec": {"ports": [{"port": 53, "protocol": "TCP"}]}}

    assert changes.removes(change(before, after, service)) == ("/spec/ports/1",)


def test_every_finding_has_an_owner_of_its_own() -> None:
    line = changes.apply_command("istio/some-thing-0123abcd")

    assert "--server-side" in line
    assert "--field-manager=gwdoctor-0123abcd" in line


def test_a_diff_shows_both_sides() -> None:
    text = changes.diff(change({"spec": {"a": "1"}}, {"spec": {"a": "2"}}))

    assert "--- Gateway infra/edge\n" in text
    assert "-  a: '1'\n+  a: '2'\n" in text


# --- JSON patch ---------------------------------------------------------------------------------


def patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, as much of it as is used."""
    document = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [
            step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
        ]
        spot = document
        for step in parents:
            spot = spot[step]
        match operation["op"]:
            case "test":
                if json.dumps(spot[last], sort_keys=True) != json.dumps(
                    operation["value"], sort_keys=True
                ):
                    raise ValueError(f"test of {operation['path']} failed")
            case "add" | "replace":
                assert (last in spot) == (operation["op"] == "replace")
                spot[last] = operation["value"]
            case "remove":
                del spot[last]
    return document


_KEYS = st.text("ab/~", min_size=1, max_size=3)
_VALUES = st.recursive(
    st.one_of(st.integers(0, 3), st.booleans(), st.text("xy", max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=10,
)
_SPECS = st.dictionaries(_KEYS, _VALUES, max_size=4)


def merged(base: Any, more: Any) -> Any:
    """What server-side apply makes of it, where every list is replaced whole."""
    if isinstance(base, dict) and isinstance(more, dict):
        return base | {key: merged(base.get(key), value) for key, value in more.items()}
    return more


@pytest.mark.slow
@settings(max_examples=300)
@given(before=_SPECS, after=_SPECS)
def test_the_patch_makes_the_one_of_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    made = change({"spec": before}, {"spec": after})
    operations = changes.json_patch(made)

    assert json.dumps(patched(made.before, operations), sort_keys=True) == json.dumps(
        made.after, sort_keys=True
    )
    for position, operation in enumerate(operations):
        if operation["op"] in ("replace", "remove"):
            before_it = operations[position - 1]
            assert (before_it["op"], before_it["path"]) == ("test", operation["path"])


@pytest.mark.slow
@settings(max_examples=300)
@given(before=_SPECS, after=_SPECS)
def test_manifest_and_removals_together_are_the_change(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    made = change({"spec": before}, {"spec": after})

    applied = merged(made.before, changes.manifest(made) or {})
    removals = [{"op": "remove", "path": pointer} for pointer in changes.removes(made)]

    # where the type of a field changes, its old keys are gone with it, and no removal names them
    assert json.dumps(patched(applied, removals), sort_keys=True) == json.dumps(
        made.after, sort_keys=True
    )


def test_a_patch_refuses_an_object_that_has_moved() -> None:
    made = change({"spec": {"a": [1]}}, {"spec": {"a": [2]}})
    moved = {**(made.before or {}), "spec": {"a": [1, 9]}}

    with pytest.raises(ValueError, match="test of /spec/a failed"):
        patched(moved, changes.json_patch(made))


def test_a_kubectl_line_survives_the_shell() -> None:
    made = change({"spec": {}}, {"spec": {"a": "it's; $(rm) `x`"}})

    words = shlex.split(changes.kubectl(made))

    assert words[:6] == [
        "kubectl",
        "patch",
        "gateway.gateway.networking.k8s.io",
        "edge",
        "-n",
        "infra",
    ]
    assert json.loads(words[-1]) == changes.json_patch(made)


# --- a whole fix ---


def test_what_apply_cannot_take_away_is_patched_unless_the_fix_has_a_command_for_it() -> None:
    taken = change({"spec": {"a": 1, "b": 2}}, {"spec": {"a": 3}})
    alone = Fix("title", (taken,))
    commanded = Fix("title", (taken,), commands=("kubectl annotate ...",))

    assert changes.manifests(alone) == []
    assert changes.commands(alone) == [changes.kubectl(taken)]
    assert changes.manifests(commanded) == [changes.manifest(taken)]
    assert changes.commands(commanded) == ["kubectl annotate ..."]


def test_deletions_come_after_what_is_applied_and_before_the_commands() -> None:
    new = Change.created({**HEAD, "metadata": {"name": "n"}, "spec": {}})
    gone = Change(REF, {**HEAD, "metadata": {"name": "edge"}}, None)
    fix = Fix("title", (gone, new), commands=("kubectl rollout restart ...",))

    assert changes.manifests(fix) == [new.after]
    assert changes.commands(fix) == [changes.kubectl(gone), "kubectl rollout restart ..."]
