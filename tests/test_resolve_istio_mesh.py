"""Names, settings, protocols, mTLS modes and DestinationRules, as Istio resolves them."""

from __future__ import annotations

import casefile
import pytest

from gwdoctor import Cluster, OutOfView, kinds
from gwdoctor.model import Field, Ref, Resource
from gwdoctor.resolve import istio_annotations, istio_mesh, istio_mtls, istio_routes, istio_rules


def cluster(text: str, **options: object) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), **options)  # type: ignore[arg-type]


SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio-sidecar-injector, namespace: istio-system}
data: {values: '{"global": {"proxy": {"clusterDomain": "corp.local"}}}'}
"""


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("web", "web.shop.svc.corp.local"),
        ("Web", "web.shop.svc.corp.local"),
        ("web.shop", "web.shop"),
        ("web.shop.svc", "web.shop.svc"),
        ("*", "*"),
        ("*.shop.svc.corp.local", "*.shop.svc.corp.local"),
        ("", ""),
    ],
)
def test_only_a_host_without_a_dot_grows(host: str, full: str) -> None:
    assert istio_mesh.full_host(host, "shop", cluster(SERVICES)) == full


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web", True),
        ("web.shop.svc.corp.local", True),
        ("web.shop.svc.cluster.local", False),
        ("web.shop", False),
        ("web.other.svc.corp.local", False),
        ("*.shop.svc.corp.local", False),
        ("web.shop.svc.corp.local.example.com", False),
    ],
)
def test_the_domain_of_the_control_plane_decides_what_names_a_service(
    host: str, found: bool
) -> None:
    service = istio_mesh.service_of(host, "shop", cluster(SERVICES))

    assert (service is not None) == found


def test_without_its_settings_any_domain_may_be_the_right_one() -> None:
    unseen = cluster(SERVICES, hidden=[kinds.CONFIG_MAP])

    assert istio_mesh.service_of("web.shop.svc.elsewhere", "shop", unseen) is not None
    assert istio_mesh.mesh(unseen).seen is False
    assert istio_mesh.mesh(unseen).root_namespace == "istio-system"


def test_a_service_that_may_exist_unseen_is_not_absent() -> None:
    with pytest.raises(OutOfView):
        istio_mesh.service_of("web", "shop", cluster(SERVICES, hidden=[kinds.SERVICE]))


def test_settings_are_read_from_the_mesh_config() -> None:
    settings = istio_mesh.mesh(
        cluster("""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: istio-1-32, namespace: mesh}
        data:
          mesh: |
            enableAutoMtls: false
            outboundTrafficPolicy: {mode: REGISTRY_ONLY}
            defaultDestinationRuleExportTo: ["."]
        """)
    )

    assert settings.root_namespace == "mesh"
    assert settings.auto_mtls is False
    assert settings.registry_only is True
    assert settings.default_export[kinds.DESTINATION_RULE] == (".",)


@pytest.mark.parametrize("text", ["[", "just a text", "rootNamespace: [1]", ""])
def test_settings_that_cannot_be_read_are_the_defaults(text: str) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": text},
    }

    assert istio_mesh.mesh(casefile.cluster_of([document])).auto_mtls is True


def test_wildcards_over_a_host_come_most_specific_first() -> None:
    assert list(istio_mesh.generalisations("a.b.c")) == ["a.b.c", "*.b.c", "*.c", "*"]
    assert list(istio_mesh.generalisations("*.b.c")) == ["*.b.c", "*.c", "*"]
    assert list(istio_mesh.generalisations("*")) == ["*"]


def port(**fields: object) -> Field:
    return Resource(Ref(kinds.SERVICE, "a", "b"), (), fields)


@pytest.mark.parametrize(
    ("declared", "spoken"),
    [
        ({"name": "http"}, "HTTP"),
        ({"name": "HTTP-web"}, "HTTP"),
        ({"name": "http2-x"}, "HTTP2"),
        ({"name": "grpc-web-x"}, "GRPC-WEB"),
        ({"name": "grpc-x"}, "GRPC"),
        ({"name": "http_proxy"}, "HTTP"),
        ({"name": "httpx"}, ""),
        ({"name": "web-http"}, ""),
        ({"name": "h2c"}, ""),
        ({"name": "https-x"}, "HTTPS"),
        ({"name": "http", "appProtocol": "tcp"}, "TCP"),
        ({"name": "http", "appProtocol": "h2c"}, ""),
        ({"name": "x", "appProtocol": "kubernetes.io/h2c"}, "HTTP2"),
        ({"name": "x", "appProtocol": "kubernetes.io/wss"}, "HTTPS"),
        ({"name": "x", "port": 3306}, "TCP"),
        ({"name": "x", "port": 5432}, ""),
        ({"name": "http", "protocol": "UDP"}, "UDP"),
        ({}, ""),
    ],
)
def test_protocol_is_what_the_port_declares(declared: dict[str, object], spoken: str) -> None:
    assert istio_mesh.protocol(port(**declared)) == spoken


POLICIES = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: mesh, namespace: istio-system, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: mesh-young, namespace: istio-system, creationTimestamp: "2026-01-03T00:00:00Z"}
spec: {mtls: {mode: DISABLE}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: unset, namespace: shop}
spec: {mtls: {mode: UNSET}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: old, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  selector: {matchLabels: {app: web}}
  portLevelMtls: {8080: {mode: PERMISSIVE}, 8081: {mode: UNSET}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: young, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
spec:
  selector: {matchLabels: {tier: front}}
  portLevelMtls: {9090: {mode: DISABLE}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: rooted, namespace: istio-system}
spec: {selector: {matchLabels: {app: web}}, mtls: {mode: DISABLE}}
"""


@pytest.mark.parametrize(
    ("labels", "number", "mode"),
    [
        ({}, None, "STRICT"),  # the oldest of the mesh; UNSET of the namespace inherits
        ({"app": "web"}, None, "STRICT"),
        ({"app": "web"}, 8080, "PERMISSIVE"),
        ({"app": "web"}, 8081, "STRICT"),
        ({"app": "web", "tier": "front"}, 9090, "STRICT"),  # the younger one counts for nothing
        ({"tier": "front"}, 9090, "DISABLE"),
    ],
)
def test_the_oldest_of_the_narrowest_scope_gives_the_mode(
    labels: dict[str, str], number: int | None, mode: str
) -> None:
    assert istio_mtls.mode_of(cluster(POLICIES), "shop", labels, number).name == mode


def test_a_selector_in_the_root_namespace_counts_for_nothing() -> None:
    """ComposePeerAuthentication takes workload policies of other namespaces only."""
    assert istio_mtls.mode_of(cluster(POLICIES), "istio-system", {"app": "web"}).name == "STRICT"
    assert istio_mtls.mode_of(cluster(POLICIES), "web", {"app": "web"}).name == "STRICT"


def test_no_mode_is_guessed_without_the_root_namespace() -> None:
    partial = Cluster(casefile.resources_of(casefile.documents(POLICIES)), namespaces=["shop"])

    with pytest.raises(OutOfView):
        istio_mtls.mode_of(partial, "shop", {})


def test_the_root_namespace_need_not_be_seen_where_a_narrower_policy_decides() -> None:
    partial = Cluster(casefile.resources_of(casefile.documents(POLICIES)), namespaces=["shop"])

    assert istio_mtls.mode_of(partial, "shop", {"app": "web"}, 8080).name == "PERMISSIVE"


RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{host: "{host}", exportTo: {exports}}}
---
"""
WEB = "web.shop.svc.cluster.local"


def rule(name: str, namespace: str, host: str = WEB, exports: str = "[]") -> str:
    return RULE.format(name=name, namespace=namespace, host=host, exports=exports)


@pytest.mark.parametrize(
    ("rules", "client", "names"),
    [
        (rule("own", "ops") + rule("service", "shop") + rule("root", "istio-system"), "ops", "own"),
        (rule("service", "shop") + rule("root", "istio-system"), "ops", "service"),
        (rule("root", "istio-system"), "ops", "root"),
        (rule("other", "config"), "ops", ""),
        (rule("own", "ops", "*.local") + rule("service", "shop"), "ops", "own"),
        (rule("wild", "shop", "*.shop.svc.cluster.local") + rule("exact", "shop"), "ops", "exact"),
        (rule("a", "shop", exports='["."]') + rule("root", "istio-system"), "ops", "root"),
        (rule("a", "shop", exports='["ops"]'), "ops", "a"),
        (rule("a", "shop", exports='["ops"]'), "*", ""),
        (rule("a", "shop", "web") + rule("b", "shop"), "shop", "a b"),
    ],
)
def test_the_rule_of_the_client_then_the_service_then_the_root_namespace_counts(
    rules: str, client: str, names: str
) -> None:
    found = istio_rules.selected(cluster(rules), client, WEB, "shop")

    assert " ".join(r.name for r in found) == names


def test_a_port_entry_takes_the_place_of_the_whole_policy() -> None:
    found = cluster("""
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: a, namespace: shop}
    spec:
      host: web
      trafficPolicy:
        tls: {mode: SIMPLE}
        portLevelSettings:
        - {port: {number: 80}}
        - {port: {number: 81}, tls: {}}
      subsets:
      - {name: v1, trafficPolicy: {tls: {mode: MUTUAL}}}
    """)[kinds.DESTINATION_RULE][0]

    def told(number: int) -> list[tuple[str, str]]:
        return [(tls.subset, tls.mode) for tls in istio_rules.client_tls(found, number)]

    assert told(443) == [("", "SIMPLE"), ("v1", "MUTUAL")]
    assert told(80) == [("v1", "MUTUAL")]
    assert told(81) == [("", "DISABLE"), ("v1", "MUTUAL")]


def test_every_destination_is_followed() -> None:
    route = cluster("""
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: a, namespace: shop}
    spec:
      http:
      - route: [{destination: {host: a}, weight: 0}]
        mirror: {host: b}
        mirrors: [{destination: {host: c}}]
      - redirect: {uri: /}
      tls: [{route: [{destination: {host: d}}]}]
      tcp: [{route: [{destination: {host: e}}]}]
    """)[kinds.VIRTUAL_SERVICE][0]

    found = [(d.section, d.host, d.weight, d.is_mirror) for d in istio_routes.destinations(route)]

    assert found == [
        ("http", "a", 0, False),
        ("http", "b", 1, True),
        ("http", "c", 1, True),
        ("tls", "d", 1, False),
        ("tcp", "e", 1, False),
    ]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("traffic.sidecar.istio.io/exclude-inbound-ports", "excludeInboundPorts"),
        ("traffic.istio.io/excludeOutboundPorts", "excludeOutboundPorts"),
        ("sidecar.istio.io/rewriteAppHTTPProber", "rewriteAppHTTPProbers"),
        ("sidecar.istio.io/somethingNewInIstio", ""),
        ("example.com/excludeInboundPorts", ""),
        ("notistio.io/excludeInboundPorts", ""),
    ],
)
def test_only_a_near_miss_is_taken_for_an_annotation(key: str, meant: str) -> None:
    assert istio_annotations.meant_by(key).rpartition("/")[2] == meant


def test_no_annotation_that_exists_is_called_wrong() -> None:
    for key in istio_annotations.KNOWN:
        assert not istio_annotations.meant_by(key)
        assert not istio_annotations.names_protocol(key)
