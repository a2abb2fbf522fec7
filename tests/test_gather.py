"""Reading in rounds: what checks declare, then what the objects point to, and no more than that."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

import casefile
import pytest

from gwdoctor import Finding, OutOfView, Probe, kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.gather import cluster_of, gather
from gwdoctor.model import Gap, Kind, Ref, Resource, Target
from gwdoctor.resolve import follow
from gwdoctor.source.batch import Batch, Want
from gwdoctor.source.live import is_read_in_part


class Pretended:
    """A source over manifests that lists and fetches as the live one does."""

    def __init__(self, manifests: str, *, namespaces: frozenset[str] | None = None) -> None:
        self._resources = casefile.resources_of(casefile.documents(manifests))
        self._namespaces = namespaces
        self.fetched: list[set[Want]] = []

    def list(self, kinds_wanted: Iterable[Kind]) -> Batch:
        wanted = frozenset(kinds_wanted)
        return Batch(
            resources=tuple(r for r in self._resources if r.ref.kind in wanted and self._lists(r)),
            by_reference=frozenset(kind for kind in wanted if is_read_in_part(kind)),
            namespaces=self._namespaces,
            target=Target(context="pretended"),
        )

    def _lists(self, resource: Resource) -> bool:
        kind = resource.ref.kind
        if kind == kinds.SECRET and resource.text("type") != "kubernetes.io/tls":
            return False
        in_view = self._namespaces is None or not resource.namespace
        return not kinds.READINGS[kind].on_reference and (
            in_view or resource.namespace in (self._namespaces or ())
        )

    def fetch(self, wants: Iterable[Want]) -> Batch:
        asked = set(wants)
        self.fetched.append(asked)
        found = [r for r in self._resources if any(_fits(want, r) for want in asked)]
        named = {Ref(w.kind, w.namespace, w.name) for w in asked if w.name}
        return Batch(
            resources=tuple(found),
            absent=frozenset(named - {r.ref for r in found}),
            listed=frozenset((w.kind, w.namespace) for w in asked if not w.name and not w.labels),
        )


def _fits(want: Want, resource: Resource) -> bool:
    if want.kind != resource.ref.kind or want.namespace not in ("", resource.namespace):
        return False
    if want.name:
        return want.name == resource.name
    labels = resource.labels("metadata", "labels")
    return all(_matches(part, labels) for part in want.labels.split(",") if "=" in part)


def _matches(part: str, labels: dict[str, str]) -> bool:
    key, _, value = part.partition("=")
    return labels.get(key) == value


class Reads(Probe):
    """A probe of these kinds."""

    subjects = ()

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        yield from ()


def probe(*reads: Kind) -> type[Probe]:
    return type("Some", (Reads,), {"subjects": reads})


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {tls: [{secretName: opaque}, {secretName: gone}, {secretName: serving}]}
---
apiVersion: v1
kind: Secret
metadata: {name: opaque, namespace: shop}
type: Opaque
data: !cert {dns: [shop.example.com]}
---
apiVersion: v1
kind: Secret
metadata: {name: serving, namespace: shop}
type: kubernetes.io/tls
data: !cert {dns: [shop.example.com]}
---
apiVersion: v1
kind: Secret
metadata: {name: of-an-app, namespace: shop}
type: Opaque
"""


def test_what_is_pointed_to_is_fetched_once_and_the_three_answers_stay_apart() -> None:
    source = Pretended(INGRESS)

    picture = gather(source, [probe(kinds.INGRESS, kinds.SECRET)])

    cluster = picture.cluster
    assert cluster.get(kinds.SECRET, "shop", "opaque") is not None
    assert cluster.get(kinds.SECRET, "shop", "gone") is None
    with pytest.raises(OutOfView, match="only those that something points to were read"):
        cluster.get(kinds.SECRET, "shop", "of-an-app")
    (asked,) = source.fetched
    by_name = {want.name for want in asked if want.name}
    assert by_name == {"opaque", "gone"}  # `serving` was there already
    assert picture.target.context == "pretended"
    assert not picture.incomplete


def test_only_kinds_that_a_check_declares_are_followed() -> None:
    source = Pretended(INGRESS)

    gather(source, [probe(kinds.INGRESS)])

    assert source.fetched == []


def test_a_chain_is_followed_to_its_end() -> None:
    source = Pretended(
        """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: shop, namespace: shop}
        spec: {parentRefs: [{name: edge, namespace: infra}]}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: infra}
        spec:
          gatewayClassName: some
          listeners: [{name: a, tls: {certificateRefs: [{name: cert, namespace: certs}]}}]
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: cert, namespace: certs}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: ReferenceGrant
        metadata: {name: grant, namespace: certs}
        """.replace("\n        ", "\n"),
        namespaces=frozenset({"shop"}),
    )

    picture = gather(
        source,
        [probe(kinds.HTTP_ROUTE, kinds.GATEWAY, kinds.SECRET, kinds.REFERENCE_GRANT)],
    )

    found = {resource.ref for resource in picture.batch.resources}
    assert Ref(kinds.GATEWAY, "infra", "edge") in found
    assert Ref(kinds.SECRET, "certs", "cert") in found
    assert [g.name for g in picture.cluster.within(kinds.REFERENCE_GRANT, "certs")] == ["grant"]
    with pytest.raises(OutOfView, match="this namespace was not read"):
        picture.cluster.within(kinds.HTTP_ROUTE, "infra")


def test_nothing_is_asked_for_twice_and_there_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(cluster: Cluster) -> Iterator[Want]:
        """Every round points at something new, which is not there."""
        cluster.holds(kinds.CONFIG_MAP)
        yield Want(kinds.CONFIG_MAP, "shop", "always")
        yield Want(kinds.CONFIG_MAP, "shop", f"round-{len(source.fetched)}")

    source = Pretended(INGRESS)
    monkeypatch.setattr(follow, "SYSTEMS", (endless,))

    gather(source, [probe(kinds.CONFIG_MAP)])

    assert [sorted(want.name for want in wants) for wants in source.fetched] == [
        ["always", "round-0"],
        ["round-1"],
        ["round-2"],
    ]


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()

    gather(Pretended(INGRESS), [probe(kinds.INGRESS)])

    assert gc.isenabled()


def test_batches_add_up() -> None:
    first = Batch(gaps=(Gap(kind=kinds.POD, reason="a"),), namespaces=frozenset({"x"}))
    later = Batch(gaps=(Gap(kind=kinds.POD, reason="b"),), incomplete=True)

    both = first.plus(later)

    assert [gap.reason for gap in both.gaps] == ["a", "b"]
    assert both.incomplete
    assert both.namespaces == frozenset({"x"})


@pytest.mark.parametrize(
    "case", casefile.case_files()[::4], ids=lambda case: "/".join(case.parts[-3:])
)
def test_what_grew_by_rounds_is_what_is_put_together_at_once(case: Path) -> None:
    text = case.read_text()
    probes = list(catalogue().values())

    picture = gather(Pretended(text), probes, now=casefile.now_of(text))

    grown = picture.cluster
    assert grown.asked is not None
    whole = cluster_of(picture.batch, grown.asked, now=grown.now)
    assert list(map(id, grown)) == list(map(id, whole))
    assert scan(grown, probes) == scan(whole, probes)
    for kind in sorted(grown.asked):
        assert grown.may_hold(kind) == whole.may_hold(kind)
        assert list(map(id, look(grown, kind))) == list(map(id, look(whole, kind)))
        for namespace in {r.namespace for r in grown}:
            assert grown._gap_for(kind, namespace) == whole._gap_for(kind, namespace)


def look(cluster: Cluster, kind: Kind) -> Iterable[Resource]:
    try:
        return cluster[kind]
    except OutOfView:
        return ()
