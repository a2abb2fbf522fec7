"""Which routes attach to which listeners, who wins a match, and what cannot share a port."""

from __future__ import annotations

import casefile
import pytest

from gwdoctor import Cluster, Kind, OutOfView, Resource, kinds
from gwdoctor.resolve import gateway_api, http_matches, listener_conflicts, references

EDGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: eg
  allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {team: a}}}}
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: "*.example.com", allowedRoutes: {namespaces: {from: All}}}
  - {name: own, port: 8080, protocol: HTTP}
  - {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}
---
"""


def cluster(text: str, *hidden: Kind) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def route(
    name: str = "web",
    *,
    kind: str = "HTTPRoute",
    parent: str = "{name: edge, namespace: infra}",
    hosts: str = "",
    created: str = "",
    status: str = "",
) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: app, generation: 2{created and f', creationTimestamp: "{created}"'}}}
spec:
  parentRefs: [{parent}]
  hostnames: [{hosts}]
  rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]
{status}
---
"""


def only(picture: Cluster, kind: Kind = kinds.HTTP_ROUTE) -> Resource:
    (found,) = picture[kind]
    return found


def refusals(picture: Cluster, kind: Kind = kinds.HTTP_ROUTE) -> list[str]:
    parents = gateway_api.parents(only(picture, kind), picture)
    return [gateway_api.refusal(parent, picture) for parent in parents]


@pytest.mark.parametrize(
    ("parent", "hosts", "kind", "reason"),
    [
        ("{name: edge, namespace: infra}", "a.example.com", "HTTPRoute", ""),
        ("{name: edge, namespace: infra}", "", "GRPCRoute", ""),
        ("{name: edge, namespace: infra}", "a.b.example.com", "HTTPRoute", ""),
        ("{name: edge}", "", "HTTPRoute", "ParentNotFound"),
        ("{name: edge, namespace: infra, port: 81}", "", "HTTPRoute", "NoMatchingParent"),
        (
            "{name: edge, namespace: infra, sectionName: http, port: 8080}",
            "",
            "HTTPRoute",
            "NoMatchingParent",
        ),
        ("{name: edge, namespace: infra}", "", "UDPRoute", "KindNotAllowed"),
        (
            "{name: edge, namespace: infra, sectionName: tls}",
            "",
            "TCPRoute",
            "KindNotAllowed",
        ),
        (
            "{name: edge, namespace: infra, sectionName: own}",
            "",
            "HTTPRoute",
            "NamespaceNotAllowed",
        ),
        (
            "{name: edge, namespace: infra}",
            "example.com",
            "HTTPRoute",
            "NoMatchingListenerHostname",
        ),
    ],
)
def test_first_reason_in_the_order_of_the_specification(
    parent: str, hosts: str, kind: str, reason: str
) -> None:
    picture = cluster(EDGE + route(kind=kind, parent=parent, hosts=hosts))

    assert refusals(picture, Kind(kind, gateway_api.GROUP)) == [reason]


def test_a_parent_that_cannot_be_seen_is_not_missing() -> None:
    picture = cluster(route(), kinds.GATEWAY)

    with pytest.raises(OutOfView):
        gateway_api.parents(only(picture), picture)


def test_only_a_current_condition_of_the_same_parent_ref_counts() -> None:
    said = """status:
  parents:
  - parentRef: {name: edge, namespace: infra, sectionName: http}
    conditions: [{type: Accepted, status: "True", observedGeneration: 2}]
  - parentRef: {name: edge, namespace: infra}
    conditions: [{type: Accepted, status: "False", observedGeneration: 1}]"""
    picture = cluster(EDGE + route(status=said))
    (parent,) = gateway_api.parents(only(picture), picture)

    assert gateway_api.accepted(parent) is None


def test_the_controller_that_accepts_outweighs_the_one_that_does_not_own_the_gateway() -> None:
    said = """status:
  parents:
  - parentRef: {name: edge, namespace: infra}
    controllerName: example.com/other
    conditions: [{type: Accepted, status: "False", observedGeneration: 2}]
  - parentRef: {name: edge, namespace: infra}
    controllerName: example.com/own
    conditions: [{type: Accepted, status: "True", observedGeneration: 2}]"""
    picture = cluster(EDGE + route(status=said))
    (parent,) = gateway_api.parents(only(picture), picture)

    assert gateway_api.accepted(parent) is True


def test_the_oldest_route_gets_a_match_and_the_name_breaks_ties() -> None:
    picture = cluster(
        EDGE
        + route("a", hosts="x.example.com", created="2026-02-01T00:00:00Z")
        + route("c", hosts="x.example.com", created="2026-01-01T00:00:00Z")
        + route("b", hosts="x.example.com", created="2026-01-01T00:00:00Z")
        + route("d", hosts="y.example.com", created="2025-01-01T00:00:00Z")
    )

    index = http_matches.rules_by_match(picture)

    order = {place.hostname: [rule.route.name for rule in rules] for place, rules in index.items()}
    assert order == {"x.example.com": ["b", "c", "a"], "y.example.com": ["d"]}


def test_equal_matches_are_equal_however_they_are_written() -> None:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: app}
spec:
  rules:
  - {}
  - matches: [{path: {type: PathPrefix, value: /}}]
  - matches: [{headers: [{name: a, value: "1"}, {name: b, value: "2"}]}]
  - matches: [{headers: [{name: b, value: "2"}, {name: a, value: "1"}]}]
  - matches: [{path: {type: Exact, value: /}}]
"""
    rules = only(cluster(text)).each("spec", "rules")

    keys = [http_matches.match_key(http_matches.matches(rule)[0]) for rule in rules]

    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3


def listener_set(name: str, day: int, *listeners: str, namespace: str = "app") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "2026-01-0{day}T00:00:00Z"}}
spec:
  parentRef: {{name: edge, namespace: infra}}
  listeners: [{", ".join(listeners)}]
---
"""


NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: app, labels: {team: a}}}\n---\n"


def test_of_listener_sets_the_older_one_keeps_the_port() -> None:
    picture = cluster(
        EDGE
        + NAMESPACE
        + listener_set("a", 2, "{name: x, port: 9000, protocol: TCP}")
        + listener_set("b", 1, "{name: x, port: 9000, protocol: TCP}")
        + listener_set("c", 3, "{name: x, port: 80, protocol: HTTPS}")
        + listener_set("d", 1, "{name: x, port: 9000, protocol: TCP}", namespace="kept-out")
    )

    found = listener_conflicts.conflicts(picture)

    told = {(c.loser.owner.name, c.winner.owner.name, c.reason) for c in found}
    assert told == {
        ("a", "b", "ProtocolConflict"),
        ("c", "edge", "ProtocolConflict"),
    }


def test_a_listener_set_brings_listeners_only_where_it_is_admitted() -> None:
    text = EDGE + NAMESPACE + listener_set("a", 1, "{name: x, port: 9000, protocol: TCP}")
    picture = cluster(text)
    closed = cluster(
        text.replace("from: Selector, selector: {matchLabels: {team: a}}", "from: Same")
    )
    (gateway,) = picture[kinds.GATEWAY]
    (shut,) = closed[kinds.GATEWAY]

    assert [one.name for one in gateway_api.all_listeners(gateway, picture)][-1] == "x"
    assert "x" not in [one.name for one in gateway_api.all_listeners(shut, closed)]


def test_references_are_found_wherever_they_stand() -> None:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  tls:
    backend: {clientCertificateRef: {name: client}}
    frontend:
      default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}
      perPort: [{port: 8443, tls: {validation: {caCertificateRefs: [{kind: ConfigMap, name: other, namespace: b}]}}}]
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge, namespace: a}]}}
"""
    (gateway,) = cluster(text)[kinds.GATEWAY]

    found = {str(reference): reference.crosses for reference in references.references(gateway)}

    assert found == {
        "Secret a/edge": True,
        "ConfigMap infra/ca": False,
        "ConfigMap b/other": True,
        "Secret infra/client": False,
    }
