"""What objects point to: one test a system, and what must not be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent

import casefile
import pytest

from gwdoctor import Kind, kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Gap, Ref
from gwdoctor.resolve import follow
from gwdoctor.source.batch import Want
from gwdoctor.source.live import is_read_in_part


def picture(
    manifests: str,
    *,
    asked: Iterable[Kind] | None = None,
    namespaces: Iterable[str] | None = None,
    absent: Iterable[Ref] = (),
    missing: Iterable[Kind] = (),
    whole_pods: bool = False,
) -> Cluster:
    """A cluster after the first round of a live scan that read these objects."""
    resources = casefile.resources_of(casefile.documents(dedent(manifests)))
    return Cluster(
        (r for r in resources if whole_pods or r.ref.kind != kinds.POD_WHOLE),
        asked=asked,
        namespaces=namespaces,
        absent=absent,
        missing_kinds=missing,
        by_reference=[kind for kind in kinds.READINGS if is_read_in_part(kind)],
    )


def wanted(cluster: Cluster, kind: Kind) -> set[tuple[str, str]]:
    """Namespace and name of the single objects of a kind that are wanted."""
    return {(w.namespace, w.name) for w in follow.wants(cluster) if w.kind == kind and w.name}


def searched(cluster: Cluster, kind: Kind) -> set[tuple[str, str]]:
    """Namespace and selector of the lists of a kind that are wanted."""
    return {(w.namespace, w.labels) for w in follow.wants(cluster) if w.kind == kind and not w.name}


def test_certificates_of_gateways_at_whatever_depth() -> None:
    cluster = picture(
        """
        apiVersion: gateway.networking.k8s.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: infra}
        spec:
          listeners:
          - name: a
            tls:
              certificateRefs: [{name: own}, {name: other, namespace: certs}, {kind: Thing, name: no}]
              frontendValidation: {caCertificateRefs: [{kind: ConfigMap, group: "", name: clients}]}
          tls: {backend: {clientCertificateRef: {name: client}}}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: BackendTLSPolicy
        metadata: {name: web, namespace: shop}
        spec: {validation: {caCertificateRefs: [{kind: ConfigMap, group: "", name: ca}]}}
        """
    )

    assert wanted(cluster, kinds.SECRET) == {
        ("infra", "own"),
        ("certs", "other"),
        ("infra", "client"),
    }
    assert {("infra", "clients"), ("shop", "ca")} <= wanted(cluster, kinds.CONFIG_MAP)


def test_what_was_found_absent_is_not_asked_for_again() -> None:
    cluster = picture(
        """
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: shop, namespace: shop}
        spec: {tls: [{secretName: gone}, {secretName: there}, {hosts: [x]}]}
        """,
        absent=[Ref(kinds.SECRET, "shop", "gone")],
    )

    assert wanted(cluster, kinds.SECRET) == {("shop", "there")}


def test_kinds_that_nobody_asked_for() -> None:
    cluster = picture(
        """
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: shop, namespace: shop}
        spec: {tls: [{secretName: there}]}
        """,
        asked=[kinds.INGRESS],
    )

    assert list(follow.wants(cluster)) == []


CERT_MANAGER = """
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: company}
spec: {ca: {secretName: root}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: team, namespace: shop}
spec: {ca: {secretName: team-root}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: shop}
spec: {secretName: shop-tls}
"""


def test_secrets_of_cert_manager() -> None:
    assert wanted(picture(CERT_MANAGER), kinds.SECRET) == {
        ("cert-manager", "root"),
        ("shop", "team-root"),
        ("shop", "shop-tls"),
    }


def test_secrets_of_cert_manager_where_it_looks_elsewhere() -> None:
    cluster = picture(
        f"""{CERT_MANAGER}
---
apiVersion: v1
kind: Pod
metadata: {{name: cm, namespace: security}}
spec: {{containers: [{{name: c, image: quay.io/jetstack/cert-manager-controller:v1.21.2}}]}}
""",
        whole_pods=True,
    )

    assert ("security", "root") in wanted(cluster, kinds.SECRET)


def test_what_kong_reads() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
          annotations:
            konghq.com/ca-certificates-secrets: "one, two"
            konghq.com/ca-certificates-configmaps: three
            konghq.com/client-cert: client
        spec: {ports: [{port: 80}]}
        ---
        apiVersion: configuration.konghq.com/v1
        kind: KongConsumer
        metadata: {name: jane, namespace: shop}
        credentials: [jane-key]
        """
    )

    assert wanted(cluster, kinds.SECRET) == {
        ("shop", "one"),
        ("shop", "two"),
        ("shop", "client"),
        ("shop", "jane-key"),
    }
    assert wanted(cluster, kinds.CONFIG_MAP) >= {("shop", "three")}
    assert ("", "konghq.com/ca-cert=true") in searched(cluster, kinds.SECRET)
    assert ("", "konghq.com/ca-cert=true") in searched(cluster, kinds.CONFIG_MAP)


def test_without_kong_none_of_its_labels_is_searched() -> None:
    cluster = picture("", missing=[kinds.KONG_PLUGIN, kinds.KONG_CONSUMER])

    assert not [w for w in follow.wants(cluster) if "konghq.com/ca-cert" in w.labels]


ISTIO = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingress}
  servers:
  - tls: {mode: SIMPLE, credentialName: shop-tls}
  - tls: {mode: SIMPLE, credentialNames: [a, "kubernetes://b"]}
  - tls: {mode: SIMPLE, credentialName: "sds://elsewhere"}
---
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingress, x: y}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
"""


def test_credentials_are_looked_for_where_the_gateway_pods_are() -> None:
    cluster = picture(ISTIO, asked=[kinds.ISTIO_GATEWAY, kinds.POD, kinds.SECRET])

    assert wanted(cluster, kinds.SECRET) == {
        ("istio-system", "shop-tls"),
        ("istio-system", "a"),
        ("istio-system", "b"),
    }


def test_without_a_pod_in_sight_credentials_are_looked_for_beside_the_gateway() -> None:
    cluster = picture(ISTIO.partition("---")[0], asked=[kinds.ISTIO_GATEWAY, kinds.SECRET])

    assert ("shop", "shop-tls") in wanted(cluster, kinds.SECRET)


GATEWAY_PODS = [kinds.ISTIO_GATEWAY, kinds.POD, kinds.POD_WHOLE]


def test_gateway_pods_are_read_whole_where_they_are() -> None:
    cluster = picture(ISTIO, asked=GATEWAY_PODS)

    assert searched(cluster, kinds.POD_WHOLE) == {("", "istio in (ingress)")}
    assert wanted(cluster, kinds.POD_WHOLE) == set()


def test_the_pods_of_many_gateways_are_asked_for_together() -> None:
    several = "".join(
        f"""---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: g{number}, namespace: shop}}
spec: {{selector: {{istio: edge-{number}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: p{number}, namespace: shop, labels: {{istio: edge-{number}}}}}
"""
        for number in range(follow.MOST_VALUES + 1)
    )
    apart = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: two, namespace: shop}
spec: {selector: {istio: ingress, x: y}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: none, namespace: shop}
spec: {selector: {istio: nobody}}
"""
    cluster = picture(f"{ISTIO}{several}{apart}", asked=GATEWAY_PODS)

    found = searched(cluster, kinds.POD_WHOLE)

    assert ("istio-system", "istio=ingress,x=y") in found
    together = [labels for place, labels in found if not place]
    names = [name for labels in together for name in labels[len("istio in (") : -1].split(",")]
    assert len(together) == 2
    assert sorted(names) == sorted(
        ["ingress", *(f"edge-{number}" for number in range(follow.MOST_VALUES + 1))]
    )


def test_where_pods_are_not_listed_gateway_pods_are_searched_everywhere() -> None:
    cluster = picture(ISTIO, asked=[kinds.ISTIO_GATEWAY, kinds.POD_WHOLE])

    assert ("", "istio=ingress") in searched(cluster, kinds.POD_WHOLE)


@pytest.mark.parametrize("selector", ["{}", "null", '{"a,b": c}', "{a: 'in (b)'}", "{a: 1}"])
def test_a_selector_that_selects_everything_or_is_none_is_not_searched(selector: str) -> None:
    cluster = picture(
        f"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: public, namespace: shop}}
        spec: {{selector: {selector}}}
        """,
        asked=[kinds.ISTIO_GATEWAY, kinds.POD_WHOLE],
    )

    assert {labels for _, labels in searched(cluster, kinds.POD_WHOLE)} == {
        f"{key} in ({','.join(values)})" if values else key
        for key, values in follow._CONTROLLERS.items()
    }


def test_mesh_settings_of_every_revision() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: a, namespace: mesh, labels: {app: istiod, istio.io/rev: 1-31-0}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: b, namespace: istio-system, labels: {app: istiod, istio.io/rev: default}}
        """
    )

    assert wanted(cluster, kinds.CONFIG_MAP) == {
        ("istio-system", "istio"),
        ("istio-system", "istio-sidecar-injector"),
        ("mesh", "istio"),
        ("mesh", "istio-sidecar-injector"),
        ("mesh", "istio-1-31-0"),
        ("mesh", "istio-sidecar-injector-1-31-0"),
    }


def test_controllers_by_label_or_name() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: x-1, namespace: a, labels: {app.kubernetes.io/name: cert-manager}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: my-kong-7d8, namespace: b}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: edge-1, namespace: c, labels: {gateway.networking.k8s.io/gateway-name: edge}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: hongkong-1, namespace: d, labels: {app: web}}
        """
    )

    assert wanted(cluster, kinds.POD_WHOLE) == {("a", "x-1"), ("b", "my-kong-7d8"), ("c", "edge-1")}


def backends(count: int) -> str:
    return "\n---\n".join(
        f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web-{n}, namespace: shop}}
spec: {{defaultBackend: {{service: {{name: web-{n}, port: {{number: 80}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web-{n}, namespace: shop, annotations: {annotations}}}
spec: {{selector: {{app: web-{n}}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-{n}-1, namespace: shop, labels: {{app: web-{n}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-{n}-2, namespace: shop, labels: {{app: web-{n}}}}}
"""
        for n in range(count)
        for annotations in ("{konghq.com/protocol: https}" if n == 0 else "{}",)
    )


def test_one_pod_behind_each_backend() -> None:
    assert wanted(picture(backends(3)), kinds.POD_WHOLE) == {
        ("shop", "web-0-1"),
        ("shop", "web-1-1"),
        ("shop", "web-2-1"),
    }


def test_past_the_bound_the_services_that_say_nothing_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "MOST_BACKENDS", 2)

    assert wanted(picture(backends(3)), kinds.POD_WHOLE) == {
        ("shop", "web-1-1"),
        ("shop", "web-2-1"),
    }


def test_a_service_without_a_selector_has_no_pods() -> None:
    cluster = picture(backends(1).replace("selector: {app: web-0}, ", ""))

    assert wanted(cluster, kinds.POD_WHOLE) == set()


def test_secrets_that_a_proxy_mounts() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: kong-1, namespace: kong}
        spec: {volumes: [{name: a, secret: {secretName: default-tls}}, {name: b, emptyDir: {}}]}
        """,
        whole_pods=True,
    )

    assert wanted(cluster, kinds.SECRET) == {("kong", "default-tls")}


def test_pods_that_events_speak_of() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Event
        metadata: {name: e, namespace: kong}
        involvedObject: {kind: Pod, name: gateway-1, namespace: kong}
        """
    )

    assert wanted(cluster, kinds.POD_WHOLE) == {("kong", "gateway-1")}


# --- scans of some namespaces ------------------------------------------------------------

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge, namespace: infra}, {name: own}]
  rules: [{backendRefs: [{name: api, namespace: backend, port: 80}, {name: web, port: 80}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  gateways: [istio-ingress/public, mesh, own]
  hosts: [web]
  http: [{route: [{destination: {host: pay.money.svc.cluster.local}}]}]
"""


def test_a_scan_of_a_namespace_looks_at_what_its_routes_name() -> None:
    cluster = picture(ROUTE, namespaces=["shop"])

    assert wanted(cluster, kinds.GATEWAY) == {("infra", "edge")}
    assert wanted(cluster, kinds.ISTIO_GATEWAY) == {("istio-ingress", "public")}
    assert wanted(cluster, kinds.SERVICE) == {("backend", "api"), ("money", "pay")}
    assert searched(cluster, kinds.REFERENCE_GRANT) == {("backend", "")}
    assert searched(cluster, kinds.PEER_AUTHENTICATION) == {("istio-system", "")}
    assert ("infra", "") in searched(cluster, kinds.CLIENT_TRAFFIC_POLICY)
    assert searched(cluster, kinds.DESTINATION_RULE) == {
        (namespace, "")
        for namespace in ("infra", "istio-ingress", "istio-system", "backend", "money")
    }


def test_a_scan_of_a_namespace_looks_at_classes_by_name() -> None:
    """Lists of the cluster may be forbidden where single objects are not."""
    cluster = Cluster(
        casefile.resources_of(
            casefile.documents(
                dedent(
                    """
                    apiVersion: gateway.networking.k8s.io/v1
                    kind: Gateway
                    metadata: {name: a, namespace: shop}
                    spec: {gatewayClassName: envoy}
                    ---
                    apiVersion: gateway.networking.k8s.io/v1
                    kind: GatewayClass
                    metadata: {name: envoy}
                    spec: {parametersRef: {group: x, kind: EnvoyProxy, name: nlb, namespace: infra}}
                    ---
                    apiVersion: networking.k8s.io/v1
                    kind: Ingress
                    metadata: {name: a, namespace: shop}
                    spec: {ingressClassName: kong}
                    ---
                    apiVersion: cert-manager.io/v1
                    kind: Certificate
                    metadata: {name: a, namespace: shop}
                    spec: {issuerRef: {kind: ClusterIssuer, name: company}}
                    """
                )
            )
        ),
        namespaces=["shop"],
        gaps=[
            Gap(kind=kind, reason="may not be listed (403)")
            for kind in (kinds.INGRESS_CLASS, kinds.CLUSTER_ISSUER)
        ],
    )

    assert wanted(cluster, kinds.INGRESS_CLASS) == {("", "kong")}
    assert wanted(cluster, kinds.CLUSTER_ISSUER) == {("", "company")}
    assert wanted(cluster, kinds.ENVOY_PROXY) == {("infra", "nlb")}
    assert wanted(cluster, kinds.GATEWAY_CLASS) == set()  # it was read


def test_a_scan_of_a_namespace_looks_at_the_services_of_its_gateway_pods() -> None:
    cluster = picture(ISTIO, namespaces=["shop"])

    assert ("istio-system", "") in searched(cluster, kinds.SERVICE)
    assert ("istio-system", "") in searched(cluster, kinds.CERTIFICATE)


def test_a_scan_of_a_namespace_looks_at_plugins_of_others() -> None:
    cluster = picture(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop, annotations: {konghq.com/plugins: "team:limit,own"}}
        spec: {ports: [{port: 80}]}
        """,
        namespaces=["shop"],
    )

    assert wanted(cluster, kinds.KONG_PLUGIN) == {("team", "limit")}
    assert searched(cluster, kinds.REFERENCE_GRANT) == {("team", "")}


def test_a_scan_of_all_namespaces_needs_none_of_that() -> None:
    cluster = picture(ROUTE)

    for kind in (kinds.GATEWAY, kinds.ISTIO_GATEWAY, kinds.SERVICE, kinds.REFERENCE_GRANT):
        assert wanted(cluster, kind) == searched(cluster, kind) == set()


def test_every_want_can_be_sorted_and_names_a_kind_that_is_read() -> None:
    wants = set(follow.wants(picture(f"{ROUTE}---{ISTIO}---{CERT_MANAGER}", namespaces=["shop"])))

    assert sorted(wants)
    assert {want.kind for want in wants} <= kinds.READINGS.keys()
    assert all(isinstance(want, Want) for want in wants)
