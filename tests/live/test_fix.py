"""`gwdoctor fix` on the real API server: what it answers, and that nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from commandline import Done, program
from test_cli_fix import CHECK, KONG
from testbed import ControlPlane


@pytest.fixture
def kong(empty_control_plane: ControlPlane) -> ControlPlane:
    space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: s3}\n---\n"
    empty_control_plane.apply(space + KONG)
    return empty_control_plane


def fix(control_plane: ControlPlane, *arguments: str) -> Done:
    return program("fix", CHECK, "-n", "s3", "--kubeconfig", control_plane.kubeconfig, *arguments)


def test_the_server_takes_it_and_keeps_nothing(kong: ControlPlane) -> None:
    first = fix(kong, "--dry-run=server")
    second = fix(kong, "--dry-run=server", "-o", "json")

    assert first.code == 0, first.err
    assert "# API server, Service s3/minio: accepts it (dry run)" in first.out
    assert "# verified: clears it and opens no other finding" in first.out
    assert yaml.safe_load(first.out)["metadata"]["annotations"] == {"konghq.com/protocol": "https"}
    (told,) = json.loads(second.out)  # it is still found: nothing was written
    assert told["server"][0]["refusal"] == ""


def test_what_the_server_refuses_is_said(kong: ControlPlane) -> None:
    """The question itself: a field that the kind does not have, and an object that is not there."""
    from gwdoctor.model import Kind, Ref
    from gwdoctor.source.access import Flags
    from gwdoctor.source.connection import Trouble
    from gwdoctor.source.live import connect

    ref = Ref(Kind("Service"), "s3", "minio", "v1")
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "minio", "namespace": "s3"},
        "spec": {"prots": []},
    }
    with connect(Flags(kubeconfig=str(kong.kubeconfig)), namespaces=None) as live:
        ask = live.questions
        assert "prots" in ask.would_apply(ref, manifest, "test")
        assert ask.would_delete(ref) == ""
        assert "404" in ask.would_delete(Ref(Kind("Service"), "s3", "gone", "v1"))
        with pytest.raises(Trouble, match="does not serve"):
            ask.would_delete(Ref(Kind("Nothing", "x.io"), "s3", "x", "v1"))
        assert ask.would_patch(ref, [{"op": "remove", "path": "/spec/ports/0/name"}]) == ""
        assert "422" in ask.would_patch(ref, [{"op": "test", "path": "/kind", "value": "Pod"}])
        assert ask.managers(ref)
    assert fix(kong).code == 0, "the Service is still there"
