"""The JSON and YAML reports, version 1."""

from __future__ import annotations

import json
from typing import Any

import reports

from gwdoctor.render.document import document
from gwdoctor.render.machine import as_json, as_yaml
from gwdoctor.version import __version__
from gwdoctor.yamltext.reading import Document, documents


def keys(value: Any) -> Any:
    """The keys of a document, at every depth."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items()}
    return [keys(item) for item in value] if isinstance(value, list) else "."


def test_the_form_of_version_1() -> None:
    whole = document(reports.full())

    assert list(whole) == [
        "version",
        "tool",
        "time",
        "target",
        "summary",
        "findings",
        "not_checked",
        "checks",
    ]
    assert whole["version"] == 1
    assert whole["tool"] == {"name": "gwdoctor", "version": __version__}
    assert whole["time"] == "2026-11-21T12:00:00Z"
    assert whole["checks"] == {
        "run": ["kong/upstream-protocol-missing", "tls/certificate-expires-soon"],
        "not_applicable": ["aws/client-address-lost"],
    }
    assert whole["target"] == {
        "context": "prod-eu1",
        "server": "https://10.0.0.1:6443",
        "user": "alice",
        "namespaces": ["*"],
    }
    assert whole["summary"] == {
        "critical": 1,
        "high": 1,
        "medium": 0,
        "low": 1,
        "checks": 46,
        "not_applicable": 7,
        "objects": 16400,
        "not_checked": 3,
        "ignored": 2,
        "incomplete": False,
        "seconds": 1.42,
    }


def test_a_finding() -> None:
    found = document(reports.full())["findings"][0]

    assert found == {
        "id": "kong/upstream-protocol-missing-" + found["id"][-8:],
        "check": "kong/upstream-protocol-missing",
        "severity": "critical",
        "confidence": "likely",
        "title": "Kong speaks plain HTTP to a port that expects HTTPS",
        "message": "Kong speaks plain HTTP to port 9000 (https)",
        "object": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "minio",
            "name": "minio",
        },
        "path": "/spec/ports/0",
        "origin": {"file": "shop/minio.yaml", "line": 7},
        "because": [
            {
                "object": {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "namespace": "minio",
                    "name": "minio",
                },
                "path": "/spec/rules/0",
            },
            {
                "object": {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "namespace": "minio",
                    "name": "minio",
                },
                "path": "",
            },
        ],
        "evidence": [],
        "fix": {
            "title": "Tell Kong that this backend speaks HTTPS",
            "disposition": "review",
            "manifests": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {
                        "name": "minio",
                        "namespace": "minio",
                        "annotations": {"konghq.com/protocol": "https"},
                    },
                },
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "y", "namespace": "minio"},
                    "data": {"on": "1e3"},
                },
            ],
            "delete": [
                {
                    "apiVersion": "networking.istio.io/v1beta1",
                    "kind": "Gateway",
                    "namespace": "web",
                    "name": "old",
                }
            ],
            "commands": ["kubectl annotate service minio -n minio example.com/key-"],
            "verified": None,
        },
        "advice": "",
    }


def test_no_fix_is_null_and_a_cluster_scoped_object_has_no_namespace() -> None:
    _, second, third = document(reports.full())["findings"]

    assert second["fix"] is None
    assert second["advice"] == "Merge the servers, or give each host a certificate of its own"
    assert third["object"] == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "name": "kong",
    }


def test_what_was_not_checked() -> None:
    assert document(reports.full())["not_checked"] == [
        {
            "check": "kong/a-b",
            "reason": "Namespace: may not be listed (403)",
            "object": None,
            "rbac": reports.NAMESPACE_LIST,
            "problem": None,
        },
        {
            "check": "kong/c-d",
            "reason": "Namespace: may not be listed (403)",
            "object": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": "minio",
                "name": "minio",
            },
            "rbac": reports.NAMESPACE_LIST,
            "problem": None,
        },
        {
            "check": None,
            "reason": "a.yaml:3: is not valid YAML",
            "object": None,
            "rbac": None,
            "problem": "broken",
        },
    ]


def test_json_and_yaml_hold_the_same() -> None:
    for made in (reports.full(), reports.hostile(), reports.report()):
        whole = document(made)
        (read,) = documents(as_yaml(whole))

        assert isinstance(read, Document)
        assert read.value == whole
        assert json.loads(as_json(whole)) == whole


def test_both_are_ascii_and_without_control_characters() -> None:
    for text in (write(document(reports.hostile())) for write in (as_json, as_yaml)):
        assert text.isascii()
        assert all(character.isprintable() or character == "\n" for character in text)


def test_the_same_report_gives_the_same_bytes() -> None:
    assert as_json(document(reports.full())) == as_json(document(reports.full()))
    assert keys(document(reports.full())) == keys(document(reports.full()))
