"""One object of a thousand parts costs four times one of a quarter: work is counted, not timed.

`hack/bench --shapes` times clusters of many objects; here one object is large.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import badobjects
import certs
import commandline
import pytest
import yaml

from gwdoctor.catalogue import catalogue
from gwdoctor.drawing import drawn
from gwdoctor.engine import MOST_FIXES, scan
from gwdoctor.model import Report
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.render.words import Ending
from gwdoctor.walk import request, standing, walks

Manifest = dict[str, Any]
PROBES = tuple(catalogue().values())
META = {"name": "a", "namespace": "d"}
ISTIO = "networking.istio.io/v1"
MESH: list[Manifest] = [
    {
        "apiVersion": ISTIO,
        "kind": "Gateway",
        "metadata": META,
        "spec": {
            "selector": {"istio": "edge"},
            "servers": [{"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["*.example.com"]}],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**META, "labels": {"istio": "edge"}},
        "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "router"]}]},
    },
    {"apiVersion": "v1", "kind": "Service", "metadata": META, "spec": {"ports": [{"port": 80}]}},
]
KONG: Manifest = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "kong"},
    "spec": {"controller": "ingress-controllers.konghq.com/kong"},
}


def virtual_service(**spec: Any) -> list[Manifest]:
    more = {"gateways": ["a"], "hosts": ["shop.example.com"], **spec}
    return [*MESH, {"apiVersion": ISTIO, "kind": "VirtualService", "metadata": META, "spec": more}]


def route(host: str = "a", **more: Any) -> Manifest:
    return {"route": [{"destination": {"host": host, "port": {"number": 80}}}], **more}


def ingress(parts: int) -> list[Manifest]:
    backend = {"service": {"name": "a", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    names = [f"h{n}.example.com" for n in range(parts)]
    spec = {
        "ingressClassName": "kong",
        "rules": [{"host": name, "http": {"paths": [path]}} for name in names],
        "tls": [{"hosts": [name], "secretName": "t"} for name in names],
    }
    return [
        *(KONG, MESH[2]),
        {"apiVersion": KONG["apiVersion"], "kind": "Ingress", "metadata": META, "spec": spec},
    ]


def secret(parts: int) -> list[Manifest]:
    data = certs.secret_data(certs.NOW, dns=[f"h{n}.example.com" for n in range(parts)], days=70)
    kind = {"kind": "Secret", "type": "kubernetes.io/tls"}
    return [
        *ingress(20),
        {"apiVersion": "v1", **kind, "metadata": {**META, "name": "t"}, "data": data},
    ]


def envoy_filter(parts: int) -> list[Manifest]:
    """One of which every patch is a fault with a fix."""
    found: Manifest = yaml.safe_load(commandline.BROKEN)
    found["spec"]["configPatches"] *= parts
    return [found]


SHAPES: dict[str, Callable[[int], list[Manifest]]] = {
    "hosts of a VirtualService": lambda n: virtual_service(
        hosts=[f"h{i}.example.com" for i in range(n)], http=[route()]
    ),
    "routes of a VirtualService": lambda n: virtual_service(
        http=[route(match=[{"uri": {"prefix": f"/{i}/"}}]) for i in range(n)]
    ),
    "matches of a route": lambda n: virtual_service(
        http=[route(match=[{"uri": {"prefix": f"/{i}/"}} for i in range(n)])]
    ),
    "destinations that are not there": lambda n: virtual_service(
        http=[{"route": [route(f"s{i}")["route"][0] for i in range(n)]}]
    ),
    "hosts of an Ingress, each with its tls": ingress,
    "names of a certificate": secret,
    "labels": lambda n: [
        {**MESH[1], "metadata": {**META, "labels": {f"l{i}": "v" for i in range(n)}}},
        *MESH[::2],
    ],
    "annotation": lambda n: [
        KONG,
        {**MESH[2], "metadata": {**META, "annotations": {"konghq.com/plugins": "p, " * n}}},
    ],
}


def work(manifests: list[Manifest], use: Callable[[list[Manifest]], object]) -> int:
    """How many calls of Python functions it takes."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        use(manifests)
    finally:
        sys.setprofile(before)
    return calls


def everything(manifests: list[Manifest]) -> Report:
    """Checked, drawn, walked and written."""
    cluster = badobjects.cluster_of(manifests)
    report = drawn(scan(cluster, PROBES), cluster)
    walk = walks.walk(request.asked("http://h1.example.com/1/"), cluster)
    standing.attach(walk, report.findings)
    for name in ("text", "json", "markdown", "sarif"):
        FORMATS[name].render(report, Style(end=Ending(1, "x")))
    return report


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_the_size_of_an_object(shape: str) -> None:
    everything(SHAPES[shape](10))  # what is made once is made before

    small, large = (work(SHAPES[shape](n), everything) for n in (100, 400))

    assert large < 5.5 * small, f"{small} calls, {large} for four times as much"


def test_a_large_object_is_not_written_once_for_each_of_its_faults() -> None:
    report = scan(badobjects.cluster_of(envoy_filter(2 * MOST_FIXES)), PROBES)

    with_fix = [finding for finding in report.findings if finding.fix]
    without = [f for f in report.findings if f.check == with_fix[0].check and not f.fix]
    assert len(with_fix) == MOST_FIXES
    assert len(without) == MOST_FIXES
    assert all(f"first {MOST_FIXES}" in finding.advice for finding in without)
    # all that they have in common is there once
    befores = {id(finding.fix.changes[0].before) for finding in with_fix if finding.fix}
    assert len(befores) == 1
