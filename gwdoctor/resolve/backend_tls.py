"""Whether a backend expects TLS: nothing in the API says so, many things hint at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Confidence, Field, Resource
from gwdoctor.resolve import services

#: What `evidence` reads beside the Service: declare it in `needs`.
KINDS = (kinds.POD, kinds.POD_WHOLE)

_TLS_NAME = re.compile(r"^(https|grpcs|wss|tls|ssl)\d*(-|$)|-(https|tls|ssl)$")
_CLEAR_NAME = re.compile(r"^(http|http2|grpc|h2c|ws)(-|$)|-(http|grpc|metrics)$|^(metrics|web)$")
_TLS_APP_PROTOCOLS = ("https", "tls", "wss", "kubernetes.io/wss", "grpcs")
_CLEAR_APP_PROTOCOLS = (
    "http",
    "http2",
    "grpc",
    "h2c",
    "kubernetes.io/h2c",
    "kubernetes.io/ws",
    "ws",
)
_TLS_NUMBERS = (443, 8443, 9443)
_CLEAR_NUMBERS = (80, 8000, 8080, 3000, 5000)
#: Flags that make a server speak TLS: MinIO's, and those of Go servers in general.
_TLS_FLAG = re.compile(
    r"^--?(certs-dir|tls-cert(-file|ificate)?|tls-crt-file|tls-private-key-file|tls-key(-file)?)\b"
)
_MOST_PODS = 20  #: of one Service that are tried; a live scan reads one or two of them whole


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for (`tls`) or against TLS on a port, and how strongly."""

    tls: bool
    confidence: Confidence
    field: Field
    why: str


def evidence(service: Resource, port: Field, cluster: Cluster) -> Evidence | None:
    """The strongest sign of what a port of a Service expects; None where there is none.

    A probe that the kubelet makes is worth more than a name, a name more than a number. Pods are
    further evidence only: where they cannot be seen, the Service speaks alone.
    """
    pod = _pod(service, cluster)
    found = (
        (_probe(pod, port) if pod else None)
        or _app_protocol(port)
        or _name(port.at("name"), "port name")
        or _name(port.at("targetPort"), "targetPort")
        or (_container(pod, port) if pod else None)
        or _number(port)
    )
    return found


def says_name(port: Field) -> Evidence | None:
    """What appProtocol and the name of a port claim, whatever its Pods do."""
    return _app_protocol(port) or _name(port.at("name"), "port name")


def _pod(service: Resource, cluster: Cluster) -> Resource | None:
    try:
        selected = services.pods(cluster, service)[:_MOST_PODS]
    except OutOfView:
        return None
    for pod in selected:
        try:
            return cluster.whole(pod)
        except OutOfView:
            continue
    return None


def _app_protocol(port: Field) -> Evidence | None:
    value = port.text("appProtocol").lower()
    if value in _TLS_APP_PROTOCOLS or value in _CLEAR_APP_PROTOCOLS:
        field = port.at("appProtocol")
        tls = value in _TLS_APP_PROTOCOLS
        return Evidence(tls, Confidence.LIKELY, field, f"appProtocol {field.value}")
    return None


def _name(field: Field, what: str) -> Evidence | None:
    name = field.text().lower()
    tls = bool(_TLS_NAME.search(name))
    if tls or _CLEAR_NAME.search(name):
        return Evidence(tls, Confidence.LIKELY, field, f"{what} {field.text()}")
    return None


def _number(port: Field) -> Evidence | None:
    """Numbers are habits: the one that the Pod listens on counts first.

    A targetPort by name that says nothing leaves it open: 443 may well lead to clear text.
    """
    if port.text("targetPort"):
        return None
    own, target = port.at("port"), port.at("targetPort")
    listens = target if target.number() is not None else own
    if listens.value in _CLEAR_NUMBERS:
        return Evidence(False, Confidence.POSSIBLE, listens, f"port number {listens.value}")
    for field in (listens, own):
        if field.value in _TLS_NUMBERS:
            return Evidence(True, Confidence.POSSIBLE, field, f"port number {field.value}")
    return None


def _target(port: Field) -> int | str | None:
    return port.text("targetPort") or port.number("targetPort") or port.number("port")


def _container_ports(pod: Resource, port: Field) -> Iterator[tuple[Field, Field | None]]:
    """The containers of a Pod that declare the target of a Service port, with that declaration.

    A Pod with one container need not declare its ports.
    """
    wanted = _target(port)
    containers = list(pod.each("spec", "containers"))
    declared = False
    for container in containers:
        for candidate in container.each("ports"):
            if wanted in (candidate.text("name"), candidate.number("containerPort")):
                declared = True
                yield container, candidate
    if not declared and len(containers) == 1:
        yield containers[0], None


def _probe(pod: Resource, port: Field) -> Evidence | None:
    for container, declared in _container_ports(pod, port):
        names: set[int | str | None] = {_target(port)}
        if declared is not None:
            names |= {declared.number("containerPort"), declared.text("name") or None}
        for kind in ("readinessProbe", "livenessProbe"):
            request = container.at(kind, "httpGet")
            if not request.has() or request.at("port").value not in names:
                continue
            scheme = request.text("scheme").upper() or "HTTP"
            field = request.at("scheme")
            return Evidence(scheme == "HTTPS", Confidence.LIKELY, field, f"{kind} scheme {scheme}")
    return None


def _container(pod: Resource, port: Field) -> Evidence | None:
    for container, declared in _container_ports(pod, port):
        named = _name(declared.at("name"), "container port name") if declared else None
        if named is not None:
            return named
        if _target(port) in _CLEAR_NUMBERS:
            continue  # servers that speak TLS on their main port often keep one in clear text
        for step in ("args", "command"):
            for i, flag in enumerate(container.texts(step)):
                if _TLS_FLAG.match(flag):
                    field = container.at(step, i)
                    why = f"container {step} {flag.partition('=')[0]}"
                    return Evidence(True, Confidence.LIKELY, field, why)
    return None


def from_pod(service: Resource, port: Field, cluster: Cluster) -> bool | None:
    """What the Pods alone say: TLS, clear text, or nothing."""
    pod = _pod(service, cluster)
    found = (_probe(pod, port) or _container(pod, port)) if pod else None
    return found.tls if found else None
