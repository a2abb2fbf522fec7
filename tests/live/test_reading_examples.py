"""The examples of all checks, read from a real API server: what is found is what files show.

A check that reads something which only comes by reference (a ConfigMap, a Secret that is not of
type kubernetes.io/tls, the containers of a Pod) fails here if `resolve/follow.py` does not name it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import casefile
import certs
import pytest
from testbed import ControlPlane
from testbed.cluster import Refused

from gwdoctor import Probe, kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.gather import gather
from gwdoctor.model import Ref, Report
from gwdoctor.source.access import Flags
from gwdoctor.source.live import connect

Manifest = dict[str, Any]


def found(report: Report) -> set[Ref]:
    return {finding.field.ref for finding in report.findings}


def live(control_plane: ControlPlane, probe: type[Probe], namespaces: list[str] | None) -> Report:
    """What a scan of the cluster finds; with Pods, as every scan of more than one check has them."""

    class AlsoPods(Probe):
        subjects = (kinds.POD,)

    flags = Flags(kubeconfig=str(control_plane.kubeconfig))
    with connect(flags, namespaces=namespaces, timeout=60) as source:
        picture = gather(source, [probe, AlsoPods], now=certs.NOW)
    return scan(picture.cluster, [probe])


@pytest.mark.parametrize("probe", catalogue().values(), ids=catalogue().keys())
def test_the_example_is_found_in_a_cluster(control_plane: ControlPlane, probe: type[Probe]) -> None:
    manifests = [completed(m) for m in casefile.documents(probe.example("bad"))]
    in_files = scan(casefile.cluster_of(manifests), [probe])
    control_plane.reset()
    try:
        apply(control_plane, manifests)
    except (Refused, LookupError) as refusal:
        pytest.skip(f"the API server does not take the example: {refusal}")

    report = live(control_plane, probe, None)

    assert found(report) == found(in_files)
    assert not report.skips

    for namespace in {m["metadata"].get("namespace", "default") for m in manifests}:
        control_plane.create_namespace(namespace)
        part = live(control_plane, probe, [namespace])
        assert found(part) <= found(in_files), f"an alarm that only a scan of {namespace} raises"


def apply(control_plane: ControlPlane, manifests: list[Manifest]) -> None:
    """Apply them, the older ones first: the server writes the time, in seconds, when it is."""
    ages = sorted({_age(manifest) for manifest in manifests})
    for age in ages:
        if age != ages[0]:
            time.sleep(1.1)
        control_plane.apply([m for m in manifests if _age(m) == age], status=True)


def _age(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("creationTimestamp", ""))


# --- what the API server asks for and an example leaves out --------------------------------


def completed(manifest: Manifest) -> Manifest:
    """A manifest with the fields that the API server requires."""
    whole = copy.deepcopy(manifest)
    add = _ADD.get(whole["kind"])
    if add is not None:
        add(whole)
    if isinstance(whole.get("status"), dict):
        _conditions(whole["status"])
    return whole


def _conditions(status: Manifest) -> None:
    for listener in status.get("listeners") or ():
        listener.setdefault("attachedRoutes", 0)
        listener.setdefault("supportedKinds", [])
    parts = [part for key in ("listeners", "parents", "ancestors") for part in status.get(key, ())]
    for owner in (status, *parts):
        for condition in owner.get("conditions") or ():
            condition.setdefault("lastTransitionTime", "2026-11-01T00:00:00Z")
            condition.setdefault("reason", "Reason")
            condition.setdefault("message", "")


def _pod(pod: Manifest) -> None:
    spec = pod.setdefault("spec", {})
    containers = spec.setdefault("containers", [])
    if not containers:
        containers.append({})
    for number, container in enumerate([*containers, *spec.get("initContainers", ())]):
        container.setdefault("name", f"container-{number}")
        container.setdefault("image", "example/image")


def _endpoint_slice(endpoint_slice: Manifest) -> None:
    endpoint_slice.setdefault("addressType", "IPv4")
    for endpoint in endpoint_slice.setdefault("endpoints", []):
        endpoint.setdefault("addresses", ["10.0.0.9"])


def _service(service: Manifest) -> None:
    spec = service.setdefault("spec", {})
    if spec.get("type") != "ExternalName" and not spec.get("ports"):
        spec["ports"] = [{"port": 80}]
    if len(spec.get("ports", ())) > 1:
        for number, port in enumerate(spec["ports"]):
            port.setdefault("name", f"port-{number}")


def _ingress(ingress: Manifest) -> None:
    spec = ingress.setdefault("spec", {})
    if not spec.get("rules") and not spec.get("defaultBackend"):
        spec["rules"] = [{"host": "nothing.invalid"}]
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            path.setdefault("path", "/")
            path.setdefault("pathType", "Prefix")
            path["backend"].get("service", {}).setdefault("port", {"number": 80})


def _issuer(issuer: Manifest) -> None:
    spec = issuer.setdefault("spec", {})
    if not spec.keys() & {"ca", "acme", "selfSigned", "vault", "venafi"}:
        spec["selfSigned"] = {}
    if "acme" in spec:
        spec["acme"].setdefault("server", "https://acme.invalid")
        spec["acme"].setdefault("privateKeySecretRef", {"name": "account"})


def _webhooks(configuration: Manifest) -> None:
    for number, webhook in enumerate(configuration.get("webhooks") or ()):
        webhook.setdefault("sideEffects", "None")
        webhook.setdefault("admissionReviewVersions", ["v1"])
        if webhook.get("name", "").count(".") < 2:
            webhook["name"] = f"webhook-{number}.example.com"


def _class(ingress_class: Manifest) -> None:
    ingress_class.setdefault("spec", {}).setdefault("controller", "example.com/none")


_ADD: dict[str, Callable[[Manifest], None]] = {
    "Pod": _pod,
    "EndpointSlice": _endpoint_slice,
    "Service": _service,
    "Ingress": _ingress,
    "IngressClass": _class,
    "Issuer": _issuer,
    "ClusterIssuer": _issuer,
    "ValidatingWebhookConfiguration": _webhooks,
    "MutatingWebhookConfiguration": _webhooks,
}
