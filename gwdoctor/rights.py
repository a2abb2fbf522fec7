"""What a scan has to be allowed to do: the least rules of RBAC, from what the checks declare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gwdoctor import kinds
from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind
from gwdoctor.probe import Probe

RBAC = "rbac.authorization.k8s.io"
#: What of the Secrets may be read: nothing, those that objects name today, or all.
PROFILES = ("none", "named", "all")

Manifest = dict[str, Any]


def needed(probes: Iterable[type[Probe]]) -> dict[Kind, tuple[str, ...]]:
    """The kinds that a scan with these checks reads, and the verbs for it.

    `list` shows the whole of an object, so that `get` beside it gives nothing more away; it is
    what reads single objects that lie outside the namespaces of a scan. ConfigMaps are read one by
    one, as objects name them; only those of Kong count by a label.
    """
    asked = {kind for probe in probes for kind in probe.reads()} - kinds.OURS
    by_label = kinds.KONG_PLUGIN in asked or kinds.KONG_CONSUMER in asked
    return {
        Kind(kind.name, kind.group): ("get",)
        if kind == kinds.CONFIG_MAP and not by_label
        else ("get", "list")
        for kind in sorted(asked)
    }


def of_the_api(probes: Iterable[type[Probe]]) -> list[type[Probe]]:
    """Those that judge what the API server has, not what is observed beside it."""
    return [probe for probe in probes if not kinds.OURS.issuperset(probe.subjects)]


def rules(verbs_of: Mapping[Kind, tuple[str, ...]]) -> list[Manifest]:
    """Rules of a role, one for each API group and set of verbs."""
    plurals: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
    for kind, verbs in verbs_of.items():
        plurals[kind.group, verbs].add(READINGS[kind].plural)
    return [
        {"apiGroups": [group], "resources": sorted(names), "verbs": list(verbs)}
        for (group, verbs), names in sorted(plurals.items())
    ]


def cluster_role(name: str, probes: Collection[type[Probe]], secrets: str) -> Manifest:
    """The one that a scan of all namespaces needs. Of `secrets`, only `all` is told in it."""
    verbs_of = needed(probes)
    if secrets != "all":
        verbs_of.pop(kinds.SECRET, None)
    return role(name, "", rules(verbs_of))


def secret_roles(name: str, names: Iterable[tuple[str, str]]) -> list[Manifest]:
    """A Role in each namespace, with `get` for exactly these Secrets (namespace, name)."""
    by_namespace: dict[str, set[str]] = defaultdict(set)
    for namespace, secret in names:
        by_namespace[namespace].add(secret)
    return [
        role(
            f"{name}-secrets",
            namespace,
            [
                {
                    "apiGroups": [""],
                    "resources": ["secrets"],
                    "resourceNames": sorted(secrets),
                    "verbs": ["get"],
                }
            ],
        )
        for namespace, secrets in sorted(by_namespace.items())
    ]


def role(name: str, namespace: str, rules: list[Manifest]) -> Manifest:
    """A Role, or without a namespace a ClusterRole."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }


def binding(role: Manifest, account: str, account_namespace: str) -> Manifest:
    """Gives a role to a ServiceAccount."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": dict(role["metadata"]),
        "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": account_namespace},
        ],
    }
