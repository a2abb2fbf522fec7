"""What Envoy Gateway's policies are for, what they need, and what a live scan fetches for them."""

from __future__ import annotations

import casefile
import pytest

from gwdoctor import Cluster, Kind, OutOfView, kinds
from gwdoctor.resolve import envoy_gateway, follow
from gwdoctor.resolve.envoy_gateway import Target
from gwdoctor.source.batch import Want

POLICY = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: login, namespace: app, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: web, sectionName: api}]
  oidc: {clientSecret: {name: oidc}, provider: {backendRefs: [{name: idp, port: 443}]}}
  jwt: {providers: [{localJWKS: {valueRef: {group: "", kind: ConfigMap, name: keys}}}]}
  extAuth: {http: {backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: auth}]}}
---
"""


def cluster(text: str, *hidden: Kind) -> Cluster:
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def test_both_forms_of_target_count_and_stay_in_the_namespace() -> None:
    (policy,) = cluster(POLICY)[kinds.SECURITY_POLICY]

    targets = {target for _, target in envoy_gateway.target_refs(policy)}

    assert targets == {
        Target(kinds.GATEWAY, "app", "edge"),
        Target(kinds.HTTP_ROUTE, "app", "web", "api"),
    }


def test_the_oldest_policy_of_a_target_comes_first_and_one_without_age_last() -> None:
    young = POLICY.replace("2026-01-01", "2026-02-01").replace("name: login", "name: a")
    new = POLICY.replace(', creationTimestamp: "2026-01-01T00:00:00Z"', "").replace(
        "name: login", "name: b"
    )
    picture = cluster(young + new + POLICY)

    found = envoy_gateway.policies_by_target(kinds.SECURITY_POLICY, picture)

    names = [policy.name for policy in found[Target(kinds.GATEWAY, "app", "edge")]]
    assert names == ["login", "a", "b"]


def test_references_of_a_policy_at_whatever_depth() -> None:
    (policy,) = cluster(POLICY)[kinds.SECURITY_POLICY]

    found = {str(reference) for reference in envoy_gateway.references(policy)}

    assert found == {"Secret app/oidc", "Service app/idp", "ConfigMap app/keys", "Backend app/auth"}


def test_a_live_scan_fetches_what_policies_name() -> None:
    picture = Cluster(list(cluster(POLICY)), by_reference=[kinds.SECRET, kinds.CONFIG_MAP])

    wanted = set(follow.envoy_gateway_policies(picture))

    assert wanted == {Want(kinds.SECRET, "app", "oidc"), Want(kinds.CONFIG_MAP, "app", "keys")}


def test_an_envoy_proxy_is_not_called_unused_while_gateways_are_hidden() -> None:
    with pytest.raises(OutOfView):
        envoy_gateway.proxies_in_use(cluster(POLICY, kinds.GATEWAY))
