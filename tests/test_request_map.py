"""Where requests go and break: the map, and what the findings break on it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import casefile
import certs
import manyhosts
import msgspec
import pytest
import scenes
from test_catalogue import example, with_one_hole

from gwdoctor import Cluster, Confidence, Field, Finding, Kind, Severity, kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.drawing import Drawing, drawn
from gwdoctor.engine import scan
from gwdoctor.entry import Entry, Hop, RequestMap, State
from gwdoctor.model import Report, Target
from gwdoctor.probe import Probe
from gwdoctor.resolve import request_findings
from gwdoctor.source import decode

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: admin, port: 81}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: app, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1}}
- {addresses: [10.0.0.2], conditions: {ready: false}, targetRef: {kind: Pod, name: web-2}}
---
"""
EDGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: eg
  listeners:
  - {name: web, port: 80, protocol: HTTP, hostname: "*.example.com", allowedRoutes: {namespaces: {from: All}}}
  - {name: own, port: 8080, protocol: HTTP, hostname: own.example.org}
---
"""
ISTIO = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: mesh}
spec:
  selector: {istio: edge}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com", lonely.example.org]}
  - {port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: ["*.example.net"]}
---
"""


def route(
    hosts: str = "web.example.com", backend: str = "{name: web, port: 80}", **more: str
) -> str:
    parent = more.get("parent", "{name: edge, namespace: infra}")
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: app, generation: 1}}
spec: {{parentRefs: [{parent}], hostnames: [{hosts}], rules: [{{backendRefs: [{backend}]}}]}}
{more.get("status", "")}
---
"""


def virtual_service(spec: str, name: str = "web") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: app}}
spec: {spec}
---
"""


def cluster(text: str, *hidden: Kind) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def map_of(text: str, *hidden: Kind, findings: Iterable[Finding] = ()) -> RequestMap:
    return request_findings.of(cluster(text, *hidden), findings)


def told(whole: RequestMap) -> dict[str, list[str]]:
    """Every way as text: `hostname: state` to `listener > route > service > endpoints`."""

    def hop(one: Hop) -> str:
        name = one.label or (one.object.name if one.object else "")
        state = "" if one.state == State.OK else f" [{one.state}]"
        return " ".join(filter(None, (name, one.part, one.says))) + state

    found: dict[str, list[str]] = {}
    for host in whole.hosts:
        lines = found[f"{host.name}: {host.state}"] = []
        for way in host.ways:
            parts = [hop(whole.listeners[way.listener])]
            ends = [""]
            if way.route is not None:
                parts.append(hop(whole.routes[way.route].hop))
                backends = [whole.backends[p] for p in whole.routes[way.route].backends]
                ends = [
                    " > ".join(hop(h) for h in (b.service, b.endpoints) if h is not None)
                    for b in backends
                ] or [""]
            lines += [" > ".join(filter(None, (*parts, end))) for end in ends]
    return found


def finding(field: Field, severity: Severity = Severity.CRITICAL, *because: Field) -> Finding:
    return Finding(
        check="test/found",
        title="",
        severity=severity,
        confidence=Confidence.CERTAIN,
        field=field,
        message="",
        because=because,
    )


# --- Gateway API -------------------------------------------------------------------------


def test_the_way_of_a_request_through_gateway_api() -> None:
    assert told(map_of(WEB + EDGE + route())) == {
        "own.example.org: unrouted": ["edge own 8080"],
        "web.example.com: ok": ["edge web 80 > web > web port 80 > 1 of 2 ready"],
    }


def test_a_service_that_is_not_there_breaks_the_way() -> None:
    found = told(map_of(WEB + EDGE + route(backend="{name: wep, port: 80}, {name: web, port: 80}")))

    assert found["web.example.com: broken"] == [
        "edge web 80 > web > wep port 80 does not exist [broken]",
        "edge web 80 > web > web port 80 > 1 of 2 ready",
    ]


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("{name: web, port: 8080}", "web port 8080 has no such port [broken]"),
        ("{name: web, port: 80, weight: 0}", "web answers by itself"),
        (
            "{name: b, kind: Backend, group: gateway.envoyproxy.io}",
            "b does not exist [broken]",
        ),
        (
            "{name: b, kind: Bucket, group: example.com}",
            "b of a kind that is not read [unseen]",
        ),
    ],
)
def test_where_a_backend_reference_leads(backend: str, said: str) -> None:
    found = map_of(WEB + EDGE + route(backend=backend))

    assert any(line.endswith(said) for lines in told(found).values() for line in lines), told(found)


def test_no_endpoint_is_ready() -> None:
    found = told(map_of(WEB.replace("ready: true", "ready: false") + EDGE + route()))

    assert found["web.example.com: broken"] == [
        "edge web 80 > web > web port 80 > 0 of 2 ready [broken]"
    ]


def test_an_endpoint_that_ends_still_serves() -> None:
    ending = WEB.replace("ready: true", "ready: false, serving: true, terminating: true")

    assert "web.example.com: ok" in told(map_of(ending + EDGE + route()))


def test_a_pod_with_two_addresses_is_one() -> None:
    six = WEB.split("---")[1].replace("web-1, namespace", "web-6, namespace")

    assert "1 of 2 ready" in str(told(map_of(WEB + six + "---" + EDGE + route())))


def test_a_name_outside_the_cluster_has_no_endpoints_to_count() -> None:
    outside = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec: {type: ExternalName, externalName: example.net}
---
"""

    assert told(map_of(outside + EDGE + route()))["web.example.com: ok"] == [
        "edge web 80 > web > web port 80 > example.net outside the cluster"
    ]


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (kinds.SERVICE, "web port 80 may not be listed (403) [unseen]"),
        (kinds.ENDPOINT_SLICE, "endpoints may not be listed (403) [unseen]"),
        (kinds.GATEWAY, "edge may not be listed (403) [unseen]"),
    ],
)
def test_what_cannot_be_seen_is_never_well(hidden: Kind, said: str) -> None:
    found = told(map_of(WEB + EDGE + route(), hidden))

    assert said in str(found["web.example.com: unseen"])


def test_a_listener_is_not_without_a_route_where_routes_cannot_be_seen() -> None:
    found = told(map_of(WEB + EDGE, kinds.HTTP_ROUTE))

    assert found["own.example.org: unseen"] == [
        "edge own 8080 > HTTPRoutes may not be listed (403) [unseen]"
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"parent": "{name: egde, namespace: infra}"}, "egde does not exist [broken] > web"),
        (
            {"parent": "{name: edge, namespace: infra, sectionName: wep}"},
            "edge wep has no such listener [broken] > web",
        ),
        (
            {"parent": "{name: edge, namespace: infra, sectionName: own}"},
            "edge own 8080 > web the listener takes no routes of this namespace [broken]",
        ),
    ],
)
def test_a_route_that_no_listener_takes(more: dict[str, str], said: str) -> None:
    (line,) = told(map_of(WEB + EDGE + route(**more)))["web.example.com: broken"]

    assert line.startswith(said)


def test_the_status_wins_where_the_controller_took_the_route() -> None:
    parent = "{name: edge, namespace: infra, sectionName: own}"
    status = f"""status:
  parents:
  - parentRef: {parent}
    controllerName: example.com/c
    conditions: [{{type: Accepted, status: "True", observedGeneration: 1}}]"""

    assert "web.example.com: ok" in told(map_of(WEB + EDGE + route(parent=parent, status=status)))


def test_a_name_of_a_route_that_no_listener_has() -> None:
    found = told(map_of(WEB + EDGE + route("web.example.com, web.example.net")))

    assert "web.example.com: ok" in found
    (line,) = found["web.example.net: broken"]
    assert line.startswith("edge no listener has this name [broken]")


def test_a_narrower_listener_of_the_port_takes_the_requests() -> None:
    narrow = EDGE.replace(
        "  - {name: own",
        "  - {name: narrow, port: 80, protocol: HTTP, hostname: web.example.com}\n  - {name: own",
    )

    assert told(map_of(WEB + narrow + route())) == {
        "*.example.com: unrouted": ["edge web 80"],
        "own.example.org: unrouted": ["edge own 8080"],
        "web.example.com: unrouted": ["edge narrow 80"],
    }


# --- Istio -------------------------------------------------------------------------------


def test_the_way_of_a_request_through_istio() -> None:
    web = """{hosts: [web.example.com], gateways: [mesh/edge],
      http: [{route: [{destination: {host: web, port: {number: 80}}}]}]}"""

    assert told(map_of(WEB + ISTIO + virtual_service(web))) == {
        "*.example.net: unrouted": ["edge tls 443"],
        "lonely.example.org: unrouted": ["edge http 80"],
        "web.example.com: ok": ["edge http 80 > web > web port 80 > 1 of 2 ready"],
    }


def test_a_delegate_leads_on() -> None:
    root = "{hosts: [web.example.com], gateways: [mesh/edge], http: [{delegate: {name: part}}]}"
    part = "{http: [{route: [{destination: {host: web, port: {number: 80}}}]}]}"
    text = WEB + ISTIO + virtual_service(root) + virtual_service(part, "part")

    assert told(map_of(text))["web.example.com: ok"] == [
        "edge http 80 > web > web port 80 > 1 of 2 ready"
    ]


def test_sni_decides_where_a_name_leads() -> None:
    spec = """
  hosts: [a.example.net, b.example.net]
  gateways: [mesh/edge]
  tls:
  - {match: [{sniHosts: [a.example.net]}], route: [{destination: {host: web, port: {number: 80}}}]}
  - {match: [{sniHosts: [b.example.net]}], route: [{destination: {host: lost, port: {number: 80}}}]}
"""
    found = told(map_of(WEB + ISTIO + virtual_service(spec)))

    assert found["a.example.net: ok"] == ["edge tls 443 > web tls > web port 80 > 1 of 2 ready"]
    assert found["b.example.net: broken"] == [
        "edge tls 443 > web tls > lost port 80 does not exist [broken]"
    ]


def test_a_rule_for_another_gateway_leads_nowhere_from_here() -> None:
    spec = """
  hosts: [web.example.com]
  gateways: [mesh/edge, mesh]
  http:
  - {match: [{gateways: [mesh]}], route: [{destination: {host: lost}}]}
  - {route: [{destination: {host: web, port: {number: 80}}}]}
"""

    assert told(map_of(WEB + ISTIO + virtual_service(spec)))["web.example.com: ok"] == [
        "edge http 80 > web > web port 80 > 1 of 2 ready"
    ]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (
            "api.example.org",
            "api.example.org port 80 no Service or ServiceEntry has this host [broken]",
        ),
        ("web.app", "no Service or ServiceEntry has this host [broken]"),
        ("db.example.org", "db.example.org port 80"),
        ("web.app.svc.clusterset.local", "in other clusters [unseen]"),
    ],
)
def test_hosts_that_are_no_service(host: str, said: str) -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: app}
spec: {hosts: [db.example.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
"""
    spec = f"""{{hosts: [web.example.com], gateways: [mesh/edge],
      http: [{{route: [{{destination: {{host: {host}, port: {{number: 80}}}}}}]}}]}}"""
    found = told(map_of(WEB + ISTIO + entry + virtual_service(spec)))
    (line,) = next(lines for name, lines in found.items() if name.startswith("web.example.com"))

    assert line.endswith(said)


def test_a_server_that_only_redirects_is_well() -> None:
    redirecting = ISTIO.replace(
        "protocol: HTTP}, hosts", "protocol: HTTP}, tls: {httpsRedirect: true}, hosts"
    )

    assert told(map_of(redirecting))["lonely.example.org: ok"] == [
        "edge http 80 > redirect to HTTPS"
    ]


def test_virtual_services_that_cannot_be_seen() -> None:
    found = told(map_of(WEB + ISTIO, kinds.VIRTUAL_SERVICE))

    assert found["lonely.example.org: unseen"] == [
        "edge http 80 > VirtualServices may not be listed (403) [unseen]"
    ]


# --- Ingress -----------------------------------------------------------------------------

SHOP = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: app}
spec:
  ingressClassName: nginx
  tls: [{hosts: [a.example.com], secretName: shop-tls}]
  rules:
  - {host: a.example.com, http: {paths: [{path: /, backend: {service: {name: web, port: {name: http}}}}]}}
  - {host: b.example.com, http: {paths: [{path: /, backend: {service: {name: lost, port: {number: 80}}}}]}}
---
"""


def test_each_host_of_an_ingress_has_its_own_way() -> None:
    assert told(map_of(WEB + SHOP)) == {
        "a.example.com: ok": ["class nginx HTTPS > shop > web port http > 1 of 2 ready"],
        "b.example.com: broken": ["class nginx HTTP > shop > lost port 80 does not exist [broken]"],
    }


def test_the_default_backend_takes_any_hostname() -> None:
    text = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: app}
spec: {defaultBackend: {service: {name: web, port: {number: 81}}}}
---
"""

    assert told(map_of(WEB + text)) == {
        "*: ok": ["no class HTTP > shop > web port 81 > 1 of 2 ready"]
    }


def test_the_ingress_of_a_challenge_is_none_of_ours() -> None:
    solver = SHOP.replace(
        "namespace: app}", 'namespace: app, labels: {acme.cert-manager.io/http01-solver: "true"}}'
    )

    assert not map_of(WEB + solver).hosts


# --- findings ----------------------------------------------------------------------------


def test_what_is_wrong_with_one_listener_is_not_wrong_with_the_other() -> None:
    picture = cluster(WEB + EDGE + route())
    gateway = picture[kinds.GATEWAY][0]

    def states(field: Field) -> list[str]:
        return list(told(request_findings.of(picture, [finding(field)])))

    assert states(gateway.at("spec", "listeners", 0, "tls")) == [
        "own.example.org: unrouted",
        "web.example.com: broken",
    ]
    assert states(gateway.at("spec", "listeners", 1)) == [
        "own.example.org: broken",
        "web.example.com: ok",
    ]
    assert states(gateway.at("spec", "listeners", 7)) == [
        "own.example.org: unrouted",
        "web.example.com: ok",
    ]
    assert states(gateway.at("metadata", "annotations")) == [
        "own.example.org: broken",
        "web.example.com: broken",
    ]


def test_what_is_wrong_with_a_reference_stands_where_it_leads() -> None:
    picture = cluster(WEB + EDGE + route())
    web = picture[kinds.HTTP_ROUTE][0]
    reference = finding(web.at("spec", "rules", 0, "backendRefs", 0, "name"))
    whole = request_findings.of(picture, [reference])

    assert whole.routes[0].hop.state == State.OK
    assert whole.backends[0].service.findings == [reference.id]
    assert whole.backends[0].service.state == State.BROKEN


def test_what_is_wrong_with_another_port_is_not_wrong_with_this_one() -> None:
    picture = cluster(WEB + EDGE + route())
    (service,) = picture[kinds.SERVICE]
    other = finding(service.at("spec", "ports", 1))
    selector = finding(service.at("spec", "selector"))

    assert "web.example.com: ok" in told(request_findings.of(picture, [other]))
    (backend,) = request_findings.of(picture, [selector]).backends
    assert backend.endpoints is not None
    assert backend.endpoints.findings == [selector.id]


def test_only_urgent_findings_change_how_it_is() -> None:
    picture = cluster(WEB + EDGE + route())
    (service,) = picture[kinds.SERVICE]

    for severity, state in (
        (Severity.CRITICAL, State.BROKEN),
        (Severity.HIGH, State.DEGRADED),
        (Severity.MEDIUM, State.OK),
        (Severity.LOW, State.OK),
    ):
        one = finding(service.at("spec"), severity)
        whole = request_findings.of(picture, [one])
        assert whole.backends[0].service.state == state
        assert whole.backends[0].service.findings == [one.id]


def test_what_a_finding_only_names_is_at_risk_at_most() -> None:
    picture = cluster(WEB + EDGE + route())
    (service,), (web,) = picture[kinds.SERVICE], picture[kinds.HTTP_ROUTE]
    on_route = finding(web.at("spec"), Severity.CRITICAL, service.at("spec", "ports", 0))
    whole = request_findings.of(picture, [on_route])

    assert whole.routes[0].hop.state == State.BROKEN
    assert whole.backends[0].service.state == State.DEGRADED


def test_what_stands_on_something_that_is_not_drawn_breaks_what_it_names() -> None:
    policy = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: app}
spec: {mtls: {mode: STRICT}}
---
"""
    picture = cluster(WEB + EDGE + route() + policy)
    (service,), (strict,) = picture[kinds.SERVICE], picture[kinds.PEER_AUTHENTICATION]
    whole = request_findings.of(picture, [finding(strict, Severity.CRITICAL, service)])

    assert whole.backends[0].service.state == State.BROKEN


def test_what_is_wrong_with_a_certificate_is_wrong_with_its_listener() -> None:
    text = """
apiVersion: v1
kind: Secret
metadata: {name: shop-tls, namespace: app}
type: kubernetes.io/tls
data: !cert {dns: [a.example.com], days: -1}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: app}
spec: {secretName: shop-tls, dnsNames: [a.example.com], issuerRef: {name: ca}}
---
"""
    picture = cluster(WEB + SHOP + text)
    for kind in (kinds.SECRET, kinds.CERTIFICATE):
        (one,) = picture[kind]
        assert told(request_findings.of(picture, [finding(one.at("spec"))]))[
            "a.example.com: broken"
        ] == ["class nginx HTTPS [broken] > shop > web port http > 1 of 2 ready"]
    report = scan(picture, [catalogue()["tls/certificate-expired"]])
    assert "a.example.com: broken" in told(request_findings.of(picture, report.findings))


def test_the_five_failures_break_what_they_break() -> None:
    probes = list(catalogue().values())
    broken: dict[str, list[str]] = {}
    for document in scenes.DOCUMENTS:
        for state in ("broken", "healthy"):
            picture = casefile.cluster_of(scenes.manifests(document, state))
            hosts = request_findings.of(picture, scan(picture, probes).findings).hosts
            urgent = [h.name for h in hosts if h.state in (State.BROKEN, State.DEGRADED)]
            if state == "healthy":
                assert not urgent, (document, urgent)
            broken[document] = broken.get(document, []) + urgent

    assert broken == {
        "000_kong_https_backend": ["api.minio.example.com", "console.minio.example.com"],
        "001_istio_strict_mtls": [],  # a Service of the mesh: no hostname leads to it
        "002_istio_shared_certificate": ["authory.jiaxiu.example.com", "drawdb.jiaxiu.example.com"],
        "003_envoy_gateway_nlb": ["api.edge.example.com"],
        "004_kong_certificate_not_renewed": ["pay.example.com"],
    }


# --- the whole ---------------------------------------------------------------------------


def test_only_what_comes_through_a_namespace() -> None:
    text = WEB + EDGE + route() + SHOP.replace("namespace: app", "namespace: shop")
    picture = cluster(text)

    assert [h.name for h in request_findings.of(picture, (), frozenset({"shop"})).hosts] == [
        "a.example.com",
        "b.example.com",
    ]
    whole = request_findings.of(picture, (), frozenset({"app"}))
    assert told(whole) == {
        "web.example.com: ok": ["edge web 80 > web > web port 80 > 1 of 2 ready"]
    }
    assert (len(whole.listeners), len(whole.routes), len(whole.backends)) == (1, 1, 1)


def test_certificates_by_their_end() -> None:
    text = """
apiVersion: v1
kind: Secret
metadata: {name: shop-tls, namespace: app}
type: kubernetes.io/tls
data: !cert {dns: [a.example.com], days: 40}
---
apiVersion: v1
kind: Secret
metadata: {name: old, namespace: app}
type: kubernetes.io/tls
data: !cert {dns: [old.example.com], days: -3}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: app}
spec: {secretName: shop-tls, dnsNames: [a.example.com], issuerRef: {name: ca}}
---
"""
    absent = SHOP.replace("shop-tls", "lost-tls").replace("name: shop", "name: other")
    picture = cluster(WEB + SHOP + absent + text)
    entry = entry_of(picture)
    found = [
        (
            c.secret.name,
            c.daysLeft,
            c.names,
            [u.name for u in c.usedBy],
            c.writer is not None,
            c.state,
        )
        for c in entry.certificates
    ]

    assert found == [
        ("old", -3, ["old.example.com"], [], False, ""),
        ("shop-tls", 40, ["a.example.com"], ["shop"], True, ""),
        ("lost-tls", None, [], ["other"], False, "the Secret does not exist"),
    ]
    hidden = entry_of(cluster(WEB + SHOP + text, kinds.SECRET)).certificates
    assert [(c.secret.name, c.state) for c in hidden] == [
        ("shop-tls", "not seen: may not be listed (403)")
    ]


def entry_of(picture: Cluster) -> Entry:
    report = Report(target=Target(), findings=(), skips=(), checks=0)
    entry = drawn(report, picture).entry
    assert entry is not None
    return entry


def test_nothing_of_a_key_is_carried() -> None:
    report = manyhosts.report(20)
    assert report.entry is not None
    text = msgspec.json.encode(report.entry).decode()

    assert "PRIVATE" not in text
    assert "tls.key" not in text
    assert "BEGIN" not in text


def test_it_is_read_back_as_it_was_written() -> None:
    entry = manyhosts.report(30).entry

    assert msgspec.convert(msgspec.to_builtins(entry), Entry) == entry


@pytest.mark.parametrize(
    "damage",
    [
        {"hosts": [{"name": "a", "state": "ok", "ways": [{"listener": 0}]}]},
        {"routes": [{"hop": {"state": "ok"}, "backends": [3]}]},
        {"routes": [{"hop": {"state": "ok"}, "backends": [-1]}]},
        {"hosts": [{"name": "a", "state": "well"}]},
    ],
)
def test_a_map_from_a_file_leads_nowhere_else(damage: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"map": damage}, Entry)


def test_the_order_of_the_objects_does_not_matter() -> None:
    manifests = [m for d in scenes.DOCUMENTS for m in scenes.manifests(d, "broken", certs.NOW)]
    shuffled = manifests[::-1]
    random.Random(7).shuffle(shuffled)

    one, other = (entry_of(casefile.cluster_of(m)) for m in (manifests, shuffled))

    assert one == other


def test_it_grows_with_the_hostnames_and_no_faster() -> None:
    def size(hosts: int) -> int:
        entry = manyhosts.report(hosts).entry
        assert entry is not None
        return len(msgspec.json.encode(entry))

    assert size(400) < 2.1 * size(200)


def test_every_case_can_be_drawn_with_what_is_declared() -> None:
    for file in casefile.case_files():
        text = file.read_text()
        now, hidden = casefile.now_of(text), casefile.unseen(text)
        picture = casefile.cluster_of(casefile.documents(text), now=now, hidden=hidden)
        picture.asked = frozenset(Drawing.needs)  # anything else would raise NotDeclared

        entry_of(picture)


@pytest.mark.slow
@pytest.mark.parametrize("probe", catalogue().values(), ids=lambda probe: probe.id())
def test_no_missing_field_stops_the_map(probe: type[Probe]) -> None:
    manifests = example(probe)
    for position, manifest in enumerate(manifests):
        for holed in with_one_hole(manifest):
            changed = [*manifests[:position], holed, *manifests[position + 1 :]]
            try:
                picture = casefile.cluster_of(changed)
            except decode.BadObject:
                continue
            entry_of(picture)
