"""Which routes are Kong's, how it enters Services, and what hints at TLS."""

from __future__ import annotations

import casefile
import pytest

from gwdoctor import Cluster, OutOfView, Resource, kinds
from gwdoctor.model import Confidence
from gwdoctor.resolve import backend_tls, ingress, kong, kong_annotations, services


def cluster(text: str, **how: object) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), **how)  # type: ignore[arg-type]


def service(of: Cluster, name: str = "shop") -> Resource:
    found = of.get(kinds.SERVICE, "shop", name)
    assert found is not None
    return found


def ingress_with(annotation: str, field: str) -> str:
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i, namespace: shop, annotations: {{kubernetes.io/ingress.class: "{annotation}"}}}}
spec: {{ingressClassName: "{field}"}}
"""


@pytest.mark.parametrize(
    ("annotation", "field", "of_kong", "of_nginx"),
    [
        ("kong", "", "kong", ""),
        ("", "kong", "kong", ""),
        ("", "nginx", "", "nginx"),
        ("nginx", "kong", "", ""),  # each believes the other's
        ("kong", "nginx", "kong", "nginx"),
        ("", "", "", ""),
        ("traefik", "", "", ""),
    ],
)
def test_kong_follows_the_annotation_and_nginx_the_field(
    annotation: str, field: str, of_kong: str, of_nginx: str
) -> None:
    seen = cluster(ingress_with(annotation, field))
    (found,) = seen[kinds.INGRESS]

    assert ingress.served_class(found, seen, ingress.KONG) == of_kong
    assert ingress.served_class(found, seen, ingress.NGINX) == of_nginx


CLASSES = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: old
  creationTimestamp: "2024-01-01T00:00:00Z"
  annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: new
  creationTimestamp: "2025-01-01T00:00:00Z"
  annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
spec: {controller: ingress-controllers.konghq.com/kong}
---
"""


def test_the_newest_default_class_takes_ingresses_without_one() -> None:
    seen = cluster(CLASSES + ingress_with("", ""))
    (found,) = seen[kinds.INGRESS]

    assert ingress.served_class(found, seen, ingress.KONG) == "new"
    assert not ingress.served_class(found, seen, ingress.NGINX)


def test_without_sight_of_classes_only_usual_names_count() -> None:
    seen = cluster(
        CLASSES + ingress_with("", "kong") + "---" + ingress_with("", "new").replace("i,", "j,"),
        hidden=[kinds.INGRESS_CLASS],
    )

    assert [i.name for i in ingress.of_controller(seen, ingress.KONG)] == ["i"]


ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: konghq.com/kic-gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: kong, namespace: kong}
spec: {gatewayClassName: edge}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{name: kong, namespace: kong}]
  rules:
  - backendRefs: [{name: shop, port: 80}, {name: canary, port: 80, weight: 0}]
  - backendRefs: [{name: canary, port: 81}, {name: third, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: canary, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: third, namespace: shop}
"""


def test_a_backend_of_weight_zero_gets_no_request_and_shares_the_rule() -> None:
    seen = cluster(ROUTES)

    assert [e.port for e in kong.entries(service(seen, "canary"), seen)] == [81]
    assert [len(entries) for entries in kong.rules(seen).values()] == [2, 2]


def test_siblings_reach_over_several_rules() -> None:
    seen = cluster(ROUTES)

    assert {s.name for s in kong.siblings(service(seen, "third"), seen)} == {
        "third",
        "canary",
        "shop",
    }


def test_a_hidden_gateway_is_not_taken_for_another_controllers() -> None:
    seen = cluster(ROUTES, hidden=[kinds.GATEWAY])

    with pytest.raises(OutOfView):
        kong.entries(service(seen), seen)


def test_a_hidden_class_is_judged_by_its_name() -> None:
    hidden = cluster(ROUTES, hidden=[kinds.GATEWAY_CLASS])
    called_kong = cluster(ROUTES.replace("edge", "kong"), hidden=[kinds.GATEWAY_CLASS])

    assert not kong.entries(service(hidden), hidden)
    assert kong.entries(service(called_kong), called_kong)


@pytest.mark.parametrize(
    ("value", "protocol"), [("https", "https"), ("HTTPS", "http"), ("", "http"), ("udp", "http")]
)
def test_only_a_valid_protocol_counts(value: str, protocol: str) -> None:
    seen = cluster(
        f"""
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: shop, annotations: {{konghq.com/protocol: "{value}"}}}}
"""
    )

    assert kong.protocol(service(seen)) == protocol


POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: shop}}
spec: {containers: [%s]}
"""


@pytest.mark.parametrize(
    ("port", "container", "tls", "confidence"),
    [
        ("{name: https-minio, port: 9000}", "", True, Confidence.LIKELY),
        ("{name: s3-tls, port: 9000}", "", True, Confidence.LIKELY),
        ("{name: httpserver, port: 9000}", "", None, None),
        ("{name: http, port: 443}", "", False, Confidence.LIKELY),
        ("{name: a, port: 80, appProtocol: HTTPS}", "", True, Confidence.LIKELY),
        ("{name: https, port: 443, appProtocol: http}", "", False, Confidence.LIKELY),
        ("{port: 443}", "", True, Confidence.POSSIBLE),
        ("{port: 443, targetPort: 9000}", "", True, Confidence.POSSIBLE),
        ("{port: 80, targetPort: 8443}", "", True, Confidence.POSSIBLE),
        ("{port: 443, targetPort: 8080}", "", False, Confidence.POSSIBLE),
        ("{port: 443, targetPort: app}", "", None, None),
        ("{port: 443, targetPort: https}", "", True, Confidence.LIKELY),
        ("{port: 9000}", "", None, None),
        (
            "{name: https, port: 443, targetPort: web}",
            "{ports: [{name: web, containerPort: 1}], livenessProbe: {httpGet: {port: 1}}}",
            False,
            Confidence.LIKELY,
        ),
        (
            "{port: 9000}",
            "{ports: [{containerPort: 9000}], readinessProbe: {httpGet: {port: 1, scheme: HTTPS}}}",
            None,
            None,
        ),
        (
            "{port: 80, targetPort: 9000}",
            "{command: [minio, server], args: [--certs-dir, /certs]}",
            True,
            Confidence.LIKELY,
        ),
        ("{port: 8080}", "{args: [--tls-cert-file=/x]}", False, Confidence.POSSIBLE),
        ("{port: 9000}", "{args: [--tls-min-version=1.2]}", None, None),
        (
            "{port: 9000}",
            "{ports: [{name: https-api, containerPort: 9000}]}, {args: [--certs-dir]}",
            True,
            Confidence.LIKELY,
        ),
    ],
)
def test_what_hints_at_tls(
    port: str, container: str, tls: bool | None, confidence: Confidence | None
) -> None:
    seen = cluster(
        "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: shop}\n"
        f"spec: {{selector: {{app: shop}}, ports: [{port}]}}"
        + (POD % container if container else "")
    )
    shop = service(seen)
    (field,) = shop.each("spec", "ports")

    found = backend_tls.evidence(shop, field, seen)

    assert (found.tls if found else None) == tls
    assert (found.confidence if found else None) == confidence


def test_pods_are_further_evidence_only() -> None:
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: shop}\n"
        "spec: {selector: {app: shop}, ports: [{name: https, port: 1}]}" + POD % "{name: a}"
    )
    for hidden in ([kinds.POD], [kinds.POD_WHOLE]):
        seen = cluster(text, hidden=hidden)
        first = next(iter(service(seen).each("spec", "ports")))
        found = backend_tls.evidence(service(seen), first, seen)
        assert found is not None
        assert found.tls


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("konghq.com/backend-protocol", "protocol"),
        ("konghq.com/verify", "tls-verify"),
        ("konghq.com/plugin", "plugins"),
        ("plugins.konghq.com", "plugins"),
        ("konghq.com/strip_path", "strip-path"),
        ("konghq.com/preserve-hosts", "preserve-host"),
        ("konghq.com/protocol", ""),
        ("konghq.com/headers.x-a", ""),
        ("konghq.com/authentication", ""),  # a later release may have it
        ("example.com/plugin", ""),
    ],
)
def test_what_a_key_that_kong_lacks_stands_for(key: str, instead: str) -> None:
    meant = kong_annotations.meant_by(key)

    assert (meant.instead if meant else "") == instead


def test_every_suggested_key_exists() -> None:
    for key in ("backend-protocol", "sni", "timeout", "gateway-unmanaged", "https-redirect"):
        meant = kong_annotations.meant_by(kong_annotations.PREFIX + key)
        assert meant is not None
        assert kong_annotations.is_known(meant.instead)


def test_a_kubectl_line_is_quoted() -> None:
    line = kong_annotations.annotate(kinds.INGRESS, "shop", "a", "konghq.com/plugins=a b", "x-")

    assert line == (
        "kubectl -n shop annotate --overwrite ingress.networking.k8s.io a 'konghq.com/plugins=a b' x-"
    )


def test_a_number_is_no_name_of_a_port() -> None:
    seen = cluster(
        "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: shop}\n"
        "spec: {ports: [{name: '80', port: 8000}]}"
    )

    assert services.port(service(seen), 80) is None
    assert services.port(service(seen), "80") is not None
