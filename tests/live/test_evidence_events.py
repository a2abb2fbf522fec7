"""Events of controllers on the real API server, read by one list, as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import running_scene as running
import scenes
import yaml
from testbed import ControlPlane
from testbed.client import Manifest
from testbed.faults import FaultProxy

NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.forget()
    yield control_plane
    control_plane.forget()


def event(
    reason: str, message: str, about: str, name: str, namespace: str, **more: Any
) -> Manifest:
    group, _, kind = about.rpartition("/")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{reason.lower()}", "namespace": namespace},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": 7,
        "lastTimestamp": NOW,
        "involvedObject": {
            "apiVersion": group,
            "kind": kind,
            "name": name,
            "namespace": namespace,
        },
        **more,
    }


def load(plane: ControlPlane, document: str, state: str, *more: Manifest) -> None:
    plane.apply(yaml.safe_dump_all([*scenes.manifests(document, state), *more]), status=True)


ORDER = event(
    "Failed",
    "Failed to create Order: 429 urn:ietf:params:acme:error:rateLimited: token=SECRET",
    "acme.cert-manager.io/v1/Order",
    "pay-tls-5-271828",
    "pay",
)
BALANCER = event(
    "FailedDeployModel",
    "Failed deploy model due to CertificateNotFound: Certificate ARN 'arn:aws:acm:x' not found",
    "v1/Service",
    "envoy-edge-gw-5b0b6bb1",
    "envoy-gateway-system",
)


def test_the_event_of_cert_manager_makes_the_finding_certain(plane: ControlPlane) -> None:
    load(plane, "004_kong_certificate_not_renewed", "broken", ORDER)

    report = running.scan(plane)

    found = running.finding(report, "cert-manager/certificate-not-issued")
    (quoted,) = found["evidence"]
    assert found["confidence"] == "certain"
    assert (quoted["source"], quoted["object"]["kind"], quoted["count"]) == ("event", "Order", 7)
    assert "rateLimited" in quoted["text"]
    assert "SECRET" not in str(report)
    assert {f["check"] for f in report["findings"]} == {
        check for check, _ in scenes.EXPECTED["004_kong_certificate_not_renewed"]
    }


def test_an_event_that_nothing_explains_is_a_finding(plane: ControlPlane) -> None:
    load(plane, "003_envoy_gateway_nlb", "healthy", BALANCER)

    report = running.scan(plane)

    (found,) = report["findings"]
    assert found["check"] == "service/controller-warns"
    assert found["object"]["name"] == "envoy-edge-gw-5b0b6bb1"
    assert "its load balancer is not as it is declared" in found["message"]


@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_events_of_the_past_and_of_workloads_say_nothing(
    plane: ControlPlane, document: str
) -> None:
    past = {
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "metadata": {"name": "x", "namespace": "default"},
    }
    load(
        plane,
        document,
        "healthy",
        {**ORDER, **past, "involvedObject": {**ORDER["involvedObject"], "namespace": "default"}},
        event("BackOff", "Back-off restarting failed container", "v1/Pod", "pay-0", "default"),
    )

    assert running.scan(plane)["findings"] == []


def test_what_happens_to_workloads_is_not_read(plane: ControlPlane) -> None:
    load(plane, "003_envoy_gateway_nlb", "healthy", BALANCER)
    noise = event("BackOff", "x" * 500, "v1/Pod", "pay-0", "default")
    plane.apply(
        [
            {**noise, "metadata": {"name": f"n{number}", "namespace": "default"}}
            for number in range(40)
        ]
    )
    with FaultProxy(plane).start() as proxy:
        running.scan_as(proxy.kubeconfig())

        assert proxy.items_served("/api/v1/events") == 1
