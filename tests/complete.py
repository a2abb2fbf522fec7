"""What cases leave out and an API server demands: fields that no check reads.

Cases are as short as what they show. The server wants an image of every container and a reason
of every condition; here it gets one. What a case says itself is never touched.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]

WHEN = "2026-01-01T00:00:00Z"


def completed(manifests: list[Manifest]) -> list[Manifest]:
    """Copies that an API server accepts, as far as what is missing is only form."""
    filled = copy.deepcopy(manifests)
    for manifest in filled:
        if manifest["kind"] in _FORMS:
            _FORMS[manifest["kind"]](manifest)
        for owner in manifest["metadata"].get("ownerReferences", ()):
            owner.setdefault("uid", "00000000-0000-0000-0000-000000000000")
            owner.setdefault("apiVersion", "example.net/v1")
        if "status" in manifest:
            _status(manifest["status"])
    return filled


def namespaces(manifests: list[Manifest]) -> list[Manifest]:
    """Those that the objects of a case live in or name: a fix may make an object there."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in sorted(set(_named(manifests)))
    ]


def by_age(manifests: list[Manifest]) -> list[list[Manifest]]:
    """In groups, oldest first, where two of a kind have an age that a rule may compare.

    The server writes the time of creation itself; what it can keep is their order.
    """
    ages: dict[str, set[str]] = defaultdict(set)
    for manifest in manifests:
        ages[manifest["kind"]].add(manifest["metadata"].get("creationTimestamp", ""))
    groups: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        matters = len(ages[manifest["kind"]]) > 1
        age = manifest["metadata"].get("creationTimestamp", "") if matters else ""
        groups[age].append(manifest)
    return [groups[age] for age in sorted(groups)]


def _named(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["namespace"]] if isinstance(value.get("namespace"), str) else []
        return own + [name for child in value.values() for name in _named(child)]
    if isinstance(value, list):
        return [name for child in value for name in _named(child)]
    return []


def _status(status: Manifest) -> None:
    for part in _parts(status):
        for condition in part.get("conditions", ()):
            condition.setdefault("lastTransitionTime", WHEN)
            condition.setdefault("reason", condition.get("type", "Unknown"))
            condition.setdefault("message", "")
    for listener in status.get("listeners", ()):
        listener.setdefault("attachedRoutes", 0)
        listener.setdefault("conditions", [])
        listener.setdefault("supportedKinds", [])
    for ancestor in status.get("ancestors", ()):
        ancestor.setdefault("ancestorRef", {"name": "unread"})
    for parent in (*status.get("parents", ()), *status.get("ancestors", ())):
        parent.setdefault("controllerName", "example.net/controller")
        parent.setdefault("conditions", [_condition("Accepted")])


def _condition(name: str) -> Manifest:
    return {
        "type": name,
        "status": "True",
        "reason": name,
        "message": "",
        "lastTransitionTime": WHEN,
    }


def _parts(status: Manifest) -> list[Manifest]:
    lists = (status.get(key, ()) for key in ("listeners", "parents", "ancestors"))
    return [status, *(part for parts in lists for part in parts)]


def _spec(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest.setdefault("spec", {})
    return spec


def _pod(manifest: Manifest) -> None:
    spec = _spec(manifest)
    if not spec.get("containers"):
        spec["containers"] = [{}]
    containers = (*spec["containers"], *spec.get("initContainers", ()))
    for number, container in enumerate(containers):
        container.setdefault("name", f"container-{number}")
        container.setdefault("image", "example.net/image")


def _service(manifest: Manifest) -> None:
    spec = _spec(manifest)
    if spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        spec.setdefault("ports", [{"name": "http", "port": 80}])
    ports = spec.get("ports") or ()
    for port in ports if len(ports) > 1 else ():
        port.setdefault("name", f"port-{port['port']}")


def _secret(manifest: Manifest) -> None:
    if manifest.get("type") == "kubernetes.io/tls":
        manifest.setdefault("data", {"tls.crt": "", "tls.key": ""})


def _challenge(manifest: Manifest) -> None:
    spec = _spec(manifest)
    for key in ("authorizationURL", "dnsName", "key", "token", "url"):
        spec.setdefault(key, "unread")
    spec.setdefault("type", "HTTP-01")
    spec.setdefault("issuerRef", {"name": "unread"})
    spec.setdefault("solver", {"http01": {"ingress": {}}})


def _ingress(manifest: Manifest) -> None:
    spec = _spec(manifest)
    if not spec.get("rules") and not spec.get("defaultBackend"):
        hosts = [host for entry in spec.get("tls", ()) for host in entry.get("hosts", ())]
        spec["rules"] = [{"host": host} for host in hosts or ["unread.example.com"]]


def _ingress_class(manifest: Manifest) -> None:
    _spec(manifest).setdefault("controller", "example.net/controller")


def _endpoint_slice(manifest: Manifest) -> None:
    manifest.setdefault("addressType", "IPv4")
    for number, endpoint in enumerate(manifest.setdefault("endpoints", []), 1):
        endpoint.setdefault("addresses", [f"192.0.2.{number}"])


def _issuer(manifest: Manifest) -> None:
    acme = _spec(manifest).get("acme")
    if acme is not None:
        acme.setdefault("server", "https://acme.example.net/directory")
        acme.setdefault("privateKeySecretRef", {"name": "acme-account"})


def _webhooks(manifest: Manifest) -> None:
    for webhook in manifest.get("webhooks", ()):
        webhook.setdefault("sideEffects", "None")
        webhook.setdefault("admissionReviewVersions", ["v1"])


def _gateway(manifest: Manifest) -> None:
    if "gateway.networking.k8s.io/" in manifest["apiVersion"]:
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        _spec(manifest).setdefault("listeners", [listener])
        _spec(manifest).setdefault("gatewayClassName", "unread")


def _route(manifest: Manifest) -> None:
    if _spec(manifest).get("rules") == []:
        del manifest["spec"]["rules"]


def _backend_tls_policy(manifest: Manifest) -> None:
    spec = _spec(manifest)
    for target in spec.get("targetRefs", ()):
        target.setdefault("group", "")
    validation = spec.setdefault("validation", {})
    validation.setdefault("hostname", "unread.example.com")
    if not validation.get("caCertificateRefs"):
        validation.setdefault("wellKnownCACertificates", "System")


def _api_service(manifest: Manifest) -> None:
    version, _, group = manifest["metadata"]["name"].partition(".")
    spec = _spec(manifest)
    spec.setdefault("version", version)
    spec.setdefault("group", group)
    spec.setdefault("groupPriorityMinimum", 100)
    spec.setdefault("versionPriority", 100)
    spec.setdefault("insecureSkipTLSVerify", True)


def _order(manifest: Manifest) -> None:
    spec = _spec(manifest)
    spec.setdefault("request", "e30=")
    spec.setdefault("issuerRef", {"name": "unread"})


_FORMS: dict[str, Callable[[Manifest], object]] = {
    "Pod": _pod,
    "Secret": _secret,
    "Service": _service,
    "Ingress": _ingress,
    "IngressClass": _ingress_class,
    "EndpointSlice": _endpoint_slice,
    "Issuer": _issuer,
    "ClusterIssuer": _issuer,
    "ValidatingWebhookConfiguration": _webhooks,
    "MutatingWebhookConfiguration": _webhooks,
    "Gateway": _gateway,
    "HTTPRoute": _route,
    "BackendTLSPolicy": _backend_tls_policy,
    "APIService": _api_service,
    "Challenge": _challenge,
    "Order": _order,
    "CertificateRequest": _order,
    "EnvoyProxy": _spec,
}
