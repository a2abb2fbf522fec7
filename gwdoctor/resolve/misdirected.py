"""Istio gateways that already answer 421, or speak HTTP/1.1 only: their connections do no harm."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Kind, Resource
from gwdoctor.resolve import istio_mesh
from gwdoctor.resolve.istio_gateways import GATEWAY_NAME, Server, Workload

#: What recognising it reads.
READS = (kinds.ENVOY_FILTER, kinds.TRAFFIC_EXTENSION, kinds.CONFIG_MAP)

#: Where a Lua filter keeps its source, old and new spelling.
LUA = (
    ("inlineCode",),
    ("inline_code",),
    ("defaultSourceCode", "inlineString"),
    ("default_source_code", "inline_string"),
)
_CALLED = re.compile(r":\s*requestedServerName\s*\(")


def without_comments(lua: str) -> str:
    """A Lua source without its comments."""
    return re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", lua, flags=re.DOTALL)


def scripts(envoy_filter: Resource) -> Iterator[tuple[Field, Field]]:
    """(patch, Lua source) of every Lua filter that an EnvoyFilter brings."""
    for patch in envoy_filter.each("spec", "configPatches"):
        config = patch.at("patch", "value", "typed_config")
        for steps in LUA:
            if config.text(*steps):
                yield patch, config.at(*steps)


@dataclass(frozen=True, slots=True)
class Guard:
    """Something on a workload that ends the reuse of connections.

    `snis` are the hosts of the filter chains that it is on; None for all. `is_strict` where it
    also stops a request that would have found a (wrong) route.
    """

    snis: frozenset[str] | None
    is_strict: bool

    def covers(self, server: Server) -> bool:
        """Whether it is on this server's filter chain."""
        return self.snis is None or not self.snis.isdisjoint(server.names)


def guards(workload: Workload, cluster: Cluster) -> tuple[Guard, ...]:
    """The guards of a workload. Reads `READS`; what cannot be seen guards nothing."""
    root = istio_mesh.mesh(cluster).root_namespace
    by_namespace = cluster.derive(_guards)
    namespaces = {workload.namespace, root} if workload.namespace else set(by_namespace)
    return tuple(
        guard
        for namespace in sorted(namespaces)
        for owner, guard in by_namespace.get(namespace, ())
        if _selects(owner, workload)
    )


def _guards(cluster: Cluster) -> Mapping[str, Sequence[tuple[Resource, Guard]]]:
    found: dict[str, list[tuple[Resource, Guard]]] = defaultdict(list)
    for kind in (kinds.ENVOY_FILTER, kinds.TRAFFIC_EXTENSION):
        if not cluster.may_hold(kind) or not _answers(cluster, kind):
            continue
        for owner in cluster[kind]:
            for guard in _of(owner):
                found[owner.namespace].append((owner, guard))
    return found


def _answers(cluster: Cluster, kind: Kind) -> bool:
    try:
        cluster[kind]
    except LookupError:
        return False
    return True


def _of(owner: Resource) -> Iterator[Guard]:
    if owner.ref.kind == kinds.TRAFFIC_EXTENSION:
        if _asks_sni(owner.text("spec", "lua", "inlineCode")):
            yield Guard(None, _is_strict(owner.text("spec", "lua", "inlineCode")))
        return
    for patch in owner.each("spec", "configPatches"):
        if patch.text("match", "context") in ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND"):
            continue
        sni = patch.text("match", "listener", "filterChain", "sni").lower()
        snis = frozenset({sni}) if sni else None
        config = patch.at("patch", "value", "typed_config")
        for steps in LUA:
            if _asks_sni(config.text(*steps)):
                yield Guard(snis, _is_strict(config.text(*steps)))
        text = _dumped(patch.at("patch", "value"))
        if "421" in text and ("local_reply_config" in text or "localReplyConfig" in text):
            yield Guard(snis, is_strict=False)
        if _is_http1_only(text):
            yield Guard(snis, is_strict=True)


def _asks_sni(lua: str) -> bool:
    source = without_comments(lua)
    return "421" in source and bool(_CALLED.search(source))


def _is_strict(lua: str) -> bool:
    """Whether it answers on the request; one that turns 404 into 421 lets a wrong route pass."""
    source = without_comments(lua)
    return "envoy_on_request" in source and ":respond" in source


def _is_http1_only(text: str) -> bool:
    """Whether a patch sets the ALPN that is offered, and h2 is not in it."""
    offers = re.search(r'"(?:alpn_protocols|alpnProtocols)": \[([^\]]*)\]', text)
    return offers is not None and bool(offers[1].strip()) and "h2" not in offers[1]


def _dumped(value: Field) -> str:
    return json.dumps(msgspec.to_builtins(value.value), sort_keys=True, default=str)


def _selects(owner: Resource, workload: Workload) -> bool:
    targets = [*owner.each("spec", "targetRefs")]
    if targets:
        return any(
            target.text("kind") == "Gateway"
            and target.text("name") == workload.labels.get(GATEWAY_NAME)
            for target in targets
        )
    labels = owner.labels("spec", "workloadSelector", "labels") or owner.labels(
        "spec", "selector", "matchLabels"
    )
    return labels.items() <= workload.labels.items()
