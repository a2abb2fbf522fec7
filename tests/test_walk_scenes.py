"""The five documents, walked: where each breaks, and that its healthy twin does not."""

from __future__ import annotations

from typing import Any

import casefile
import certs
import pytest
import scenes
from walking import with_findings

from gwdoctor.cluster import Cluster
from gwdoctor.entry import State
from gwdoctor.model import Kind
from gwdoctor.walk import request, walks

URLS = {
    "000_kong_https_backend": "https://api.minio.example.com/bucket",
    "001_istio_strict_mtls": "http://prometheus.monitoring:9090/graph",
    "002_istio_shared_certificate": "https://drawdb.jiaxiu.example.com/",
    "003_envoy_gateway_nlb": "https://api.edge.example.com/api/1",
    "004_kong_certificate_not_renewed": "https://pay.example.com/",
}
#: Sort of hop, its state, and a finding that stands on it.
BROKEN = {
    "000_kong_https_backend": {
        ("protocol", "broken", "kong/upstream-protocol-missing"),
        ("route", "ok", "kong/annotation-does-not-exist"),
    },
    "001_istio_strict_mtls": {
        ("backend", "broken", "istio/proxy-keeps-host"),
        ("mtls", "broken", "istio/destination-rule-bypasses-strict-mtls"),
    },
    "002_istio_shared_certificate": {
        ("policy", "broken", "istio/misdirected-lua-answers-every-request"),
        ("certificate", "degraded", "istio/tls-server-overlap"),
    },
    "003_envoy_gateway_nlb": {
        ("load balancer", "broken", "aws/annotations-on-gateway-metadata"),
    },
    "004_kong_certificate_not_renewed": {
        ("certificate", "degraded", "cert-manager/certificate-not-issued"),
        ("plugin", "broken", "kong/plugin-not-in-kong"),
    },
}


@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_the_walk_through_a_broken_scene_stops_where_the_document_says(document: str) -> None:
    cluster = casefile.cluster_of(scenes.manifests(document, "broken", certs.NOW))

    walk = with_findings(cluster, URLS[document])

    standing = {
        (hop.what, str(hop.state), finding.check)
        for hop in walk.all_hops()
        for finding in hop.findings
    }
    assert standing >= BROKEN[document]
    assert walk.state is State.BROKEN
    assert walk.is_answered
    assert walk.all_hops()[-1].after_break  # it goes on past the first break
    ids = [finding.id for hop in walk.all_hops() for finding in hop.findings]
    assert len(ids) == len(set(ids))  # each is told in one place


@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_the_walk_through_its_healthy_twin_arrives(document: str) -> None:
    cluster = casefile.cluster_of(scenes.manifests(document, "healthy", certs.NOW))

    walk = with_findings(cluster, URLS[document])

    assert {str(hop.state) for hop in walk.all_hops()} == {"ok"}
    assert not [finding for hop in walk.all_hops() for finding in hop.findings]
    assert "endpoints" in {hop.what for hop in walk.all_hops()}


def test_the_connection_that_document_002_reuses_finds_no_route() -> None:
    cluster = casefile.cluster_of(
        scenes.manifests("002_istio_shared_certificate", "broken", certs.NOW)
    )
    url = URLS["002_istio_shared_certificate"]

    walk = with_findings(cluster, url, sni="authory.jiaxiu.example.com")

    assert not walk.is_answered


def test_the_redirect_of_document_003_loops_where_nothing_else_takes_the_path() -> None:
    manifests = scenes.manifests("003_envoy_gateway_nlb", "broken", certs.NOW)

    plain = with_findings(casefile.cluster_of(manifests), "https://api.edge.example.com/")
    asked = with_findings(casefile.cluster_of(manifests), "http://api.edge.example.com/api/1")

    redirect = plain.steps[0].ways[0].redirect
    assert redirect is not None
    assert redirect.loops
    assert [step.request.scheme for step in asked.steps] == ["http", "https"]


def test_a_finding_on_another_way_does_not_touch_this_one() -> None:
    """One Secret, two Ingresses: the host of the other is not covered, that of this one is."""
    text = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Secret
metadata: {name: one, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: [a.example.com], days: 70}
"""
    for name in ("a", "b"):
        text += f"""---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop}}
spec:
  ingressClassName: nginx
  tls: [{{hosts: [{name}.example.com], secretName: one}}]
  rules:
  - host: {name}.example.com
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: w, port: {{number: 80}}}}}}}}]}}
---
"""
    cluster = casefile.cluster_of(casefile.documents(text))

    def certificate(url: str) -> str:
        hops = with_findings(cluster, url).all_hops()
        return next(str(hop.state) for hop in hops if hop.what == "certificate")

    assert certificate("https://a.example.com/") == "ok"
    assert certificate("https://b.example.com/") == "broken"
    found = with_findings(cluster, "https://b.example.com/").all_hops()
    standing = {finding.check for hop in found for finding in hop.findings}
    assert "tls/host-not-covered" in standing


def test_the_backend_of_another_rule_does_not_break_this_one() -> None:
    """It names an annotation of the route, which both rules share."""
    manifests = scenes.manifests("000_kong_https_backend", "broken", certs.NOW)
    (route,) = (m for m in manifests if m["metadata"]["name"] == "minio-api")
    backend = {"name": "plain", "namespace": "minio", "port": 80}
    rule = {"matches": [{"path": {"value": "/plain"}}], "backendRefs": [backend]}
    route["spec"]["rules"].append(rule)
    plain = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "plain", "namespace": "minio"},
        "spec": {
            "selector": {"v1.min.io/tenant": "minio"},
            "ports": [{"name": "http", "port": 80}],
        },
    }
    cluster = casefile.cluster_of([*manifests, plain])

    def checks(url: str) -> set[str]:
        return {f.check for hop in with_findings(cluster, url).all_hops() for f in hop.findings}

    assert "kong/upstream-protocol-missing" in checks("https://api.minio.example.com/x")
    assert "kong/upstream-protocol-missing" not in checks("https://api.minio.example.com/plain")


class _Asked(Cluster):
    """A cluster of which only what a walk declares was asked for."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more, asked=walks.KINDS)


@pytest.mark.parametrize("state", ["broken", "healthy"])
@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_a_walk_reads_what_it_declares_and_nothing_else(document: str, state: str) -> None:
    manifests = scenes.manifests(document, state, certs.NOW)
    cluster = casefile.cluster_of(manifests, cls=_Asked)

    for url in (URLS[document], "http://nobody.example.org/", "https://nobody.example.org/"):
        walks.walk(request.asked(url), cluster)


@pytest.mark.parametrize("kind", walks.KINDS, ids=str)
@pytest.mark.parametrize("document", scenes.DOCUMENTS)
def test_a_kind_that_is_hidden_is_never_taken_for_health_or_absence(
    document: str, kind: Kind
) -> None:
    """Where it changes what the walk says, something on it says that it was not seen."""
    manifests = scenes.manifests(document, "healthy", certs.NOW)
    whole = walks.walk(request.asked(URLS[document]), casefile.cluster_of(manifests))

    hidden = casefile.cluster_of(manifests, hidden=[kind])
    part = walks.walk(request.asked(URLS[document]), hidden)

    assert State.BROKEN not in {hop.state for hop in part.all_hops()}
    if not part.is_answered:
        assert part.state is State.UNSEEN
    lost = {hop.what for hop in whole.all_hops()} - {hop.what for hop in part.all_hops()}
    optional = {"mtls", "grant", "plugin", "policy", "listener", "load balancer"}
    if lost - optional:
        told = [hop for step in part.steps for hop in step.unseen]
        assert told or State.UNSEEN in {hop.state for hop in part.all_hops()}
