"""`gwdoctor why` on the real API server: the five documents, and what one may not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import scenes
import yaml
from commandline import Done, program
from test_walk_scenes import URLS
from testbed import ControlPlane

from gwdoctor.entry import State

USER = "why-reader"


def why(control_plane: ControlPlane, url: str, *more: str) -> Done:
    config = str(control_plane.kubeconfig)
    return program("why", url, "-o", "json", "--timeout", "300s", "--kubeconfig", config, *more)


def hops(done: Done) -> list[dict[str, Any]]:
    found: dict[str, Any] = json.loads(done.out)
    return [
        hop
        for step in found["steps"]
        for way in step["ways"]
        for hop in (*way["hops"], *(hop for branch in way["backends"] for hop in branch["hops"]))
    ]


def load(control_plane: ControlPlane, state: str) -> None:
    control_plane.forget()
    for document in scenes.DOCUMENTS:
        control_plane.apply(yaml.safe_dump_all(scenes.manifests(document, state)), status=True)


@pytest.fixture(scope="module")
def broken(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    load(control_plane, "broken")
    yield control_plane
    control_plane.forget()


def test_each_document_breaks_and_its_finding_stands_on_the_way(broken: ControlPlane) -> None:
    for document in scenes.DOCUMENTS:
        done = why(broken, URLS[document])

        assert done.code == 1, done.err
        on_the_way = {each.rpartition("-")[0] for hop in hops(done) for each in hop["findings"]}
        expected = {check for check, _ in scenes.EXPECTED[document]}
        assert on_the_way & expected, document
        assert State.BROKEN in {hop["state"] for hop in hops(done)}
        assert any(hop["after_break"] for hop in hops(done))


def test_what_nothing_takes_is_broken_where_all_was_seen(broken: ControlPlane) -> None:
    done = why(broken, "https://apis.minio.example.com/")

    assert done.code == 1, done.err
    near = [near["says"] for step in json.loads(done.out)["steps"] for near in step["near"]]
    assert "has api.minio.example.com" in near


def test_a_symptom_finds_its_cause_in_the_cluster(broken: ControlPlane) -> None:
    text = 'readv() failed (104: Connection reset by peer), upstream: "http://10.0.0.20:9000/"'
    read = "Client sent an HTTP request to an HTTPS server."

    done = program(
        "why", "--symptom", f"{text}\n{read}", "-o", "json", "--kubeconfig", broken.kubeconfig
    )

    found = json.loads(done.out)
    assert done.code == 1, done.err
    assert "kong/upstream-protocol-missing" in {each["check"] for each in found["findings"]}
    assert found["target"]["namespaces"] == ["*"]


def test_what_may_not_be_read_is_not_seen_and_the_rule_is_told(broken: ControlPlane) -> None:
    """A user who may read all but Secrets and EndpointSlices."""
    rules = [
        {
            "apiGroups": [
                *("gateway.networking.k8s.io", "networking.istio.io", "security.istio.io"),
                *("networking.k8s.io", "gateway.envoyproxy.io", "configuration.konghq.com"),
                *("cert-manager.io", "acme.cert-manager.io", "extensions.istio.io"),
                *("admissionregistration.k8s.io", "apiregistration.k8s.io"),
            ],
            "resources": ["*"],
            "verbs": ["get", "list"],
        },
        {
            "apiGroups": [""],
            "resources": ["services", "pods", "namespaces", "configmaps", "events"],
            "verbs": ["get", "list"],
        },
    ]
    head = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subject = {"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}
    objects = [
        {**head, "kind": "ClusterRole", "metadata": {"name": USER}, "rules": rules},
        {
            **head,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "subjects": [subject],
            "roleRef": role,
        },
    ]
    load(broken, "healthy")
    broken.apply(yaml.safe_dump_all(objects))

    whole = why(broken, URLS["000_kong_https_backend"])
    part = why(broken, URLS["000_kong_https_backend"], "--as", USER)

    assert whole.code == 0, whole.err
    assert part.code == 3, part.err
    hidden = {hop["hop"]: hop for hop in hops(part) if hop["state"] == "unseen"}
    assert set(hidden) == {"certificate", "endpoints"}
    assert hidden["certificate"]["rbac"]["resources"] == ["secrets"]
    assert hidden["endpoints"]["rbac"]["resources"] == ["endpointslices"]
