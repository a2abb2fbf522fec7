"""Walking a request through a cluster of a few manifests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import casefile

from gwdoctor.catalogue import catalogue
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.entry import State
from gwdoctor.model import Kind
from gwdoctor.walk import request, standing, walks
from gwdoctor.walk.hops import Hop, Walk, Way


def cluster(text: str, hidden: Iterable[Kind] = ()) -> Cluster:
    """A cluster that holds these manifests and nothing else."""
    return casefile.cluster_of(casefile.documents(text), hidden=hidden)


def walked(text: str, url: str, *, hidden: Iterable[Kind] = (), **asked: Any) -> Walk:
    """The walk alone, without findings."""
    return walks.walk(request.asked(url, **asked), cluster(text, hidden))


def with_findings(seen: Cluster, url: str, **asked: Any) -> Walk:
    """The walk with what all checks have to say."""
    found = walks.walk(request.asked(url, **asked), seen)
    standing.attach(found, scan(seen, list(catalogue().values())).findings)
    return found


def only(walk: Walk) -> Way:
    """Its only way."""
    (way,) = walk.steps[0].ways
    return way


def hop(way: Way, what: str) -> Hop:
    """Its first hop of a sort."""
    found = [one for one in way.all_hops() if one.what == what]
    assert found, f"no {what} among {[one.what for one in way.all_hops()]}"
    return found[0]


def states(way: Way) -> dict[str, State]:
    """The state of each sort of hop."""
    return {one.what: one.state for one in way.all_hops()}


def backend(walk: Walk) -> str:
    """The backends of the only way: `shop/web`, with weights where they are several."""
    way = only(walk)
    told = []
    for branch in way.branches:
        ref = next(h.object for h in branch.hops if h.what == "backend")
        assert ref is not None
        name = f"{ref.namespace}/{ref.name}"
        told.append(name if len(way.branches) == 1 else f"{name}={branch.share:.0f}")
    return ",".join(told)


def services(*names: str, namespace: str = "shop", port: int = 80) -> str:
    """Services with one ready endpoint each."""
    return "".join(_service(name, namespace, port) for name in names)


def _service(name: str, namespace: str, port: int) -> str:
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-0, namespace: {namespace}, labels: {{app: {name}}}}}
spec: {{containers: [{{name: app, image: "app:1", ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-a
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
endpoints:
- {{addresses: [10.0.0.1], conditions: {{ready: true}}, targetRef: {{kind: Pod, name: {name}-0}}}}
ports: [{{name: http, port: 8080, protocol: TCP}}]
"""
