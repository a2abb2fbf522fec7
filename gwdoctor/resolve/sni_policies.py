"""AuthorizationPolicies that hold a request's Host against the SNI of its connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Change, Field, Fix, Resource
from gwdoctor.resolve import istio_gateways, istio_mesh
from gwdoctor.resolve.istio_gateways import Workload

if TYPE_CHECKING:
    from gwdoctor.resolve.tls_overlap import Capture


def denies_foreign_sni(workload: Workload, host: str, cluster: Cluster) -> bool:
    """Whether a request for this host is denied on connections opened for another name.

    Reads AUTHORIZATION_POLICY. Raises OutOfView where none can be seen.
    """
    root = istio_mesh.mesh(cluster).root_namespace
    for policy in cluster[kinds.AUTHORIZATION_POLICY]:
        if workload.namespace and policy.namespace not in (workload.namespace, root):
            continue
        if policy.text("spec", "action") != "DENY" or not _selects(policy, workload):
            continue
        if any(_denies(rule, host) for rule in policy.each("spec", "rules")):
            return True
    return False


def _selects(policy: Resource, workload: Workload) -> bool:
    for target in policy.each("spec", "targetRefs"):
        if target.text("name") == workload.labels.get(istio_gateways.GATEWAY_NAME):
            return True
    if policy.has("spec", "targetRefs"):
        return False
    labels = policy.labels("spec", "selector", "matchLabels")
    return labels.items() <= workload.labels.items()


def _denies(rule: Field, host: str) -> bool:
    if rule.has("from"):
        return False
    operations = [entry.at("operation") for entry in rule.each("to")]
    for_host = not operations or any(
        host in operation.texts("hosts") or not operation.has("hosts") for operation in operations
    )
    conditions = list(rule.each("when"))
    return (
        for_host
        and len(conditions) == 1
        and conditions[0].text("key") == "connection.sni"
        and host in conditions[0].texts("notValues")
        and not conditions[0].has("values")
    )


def deny_foreign_sni(workload: Workload, captures: Sequence[Capture], cluster: Cluster) -> Fix:
    """A policy on the gateway that denies these hosts on connections opened for another name."""
    names = list(dict.fromkeys(capture.name for capture in captures))
    labels: dict[str, str] = {}
    for capture in captures:
        if not capture.wildcard.is_listener:
            labels |= capture.wildcard.owner.labels("spec", "selector")
    # without a Pod in the picture: the root namespace, whose selectors reach all namespaces
    namespace = workload.namespace or istio_mesh.mesh(cluster).root_namespace
    manifest = {
        "apiVersion": cluster.api_version(kinds.AUTHORIZATION_POLICY),
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "sni-must-match-host", "namespace": namespace},
        "spec": {
            "action": "DENY",
            "selector": {"matchLabels": dict(sorted((labels or workload.labels).items()))},
            "rules": [
                {
                    "to": [{"operation": {"hosts": [name, f"{name}:*"]}}],
                    "when": [{"key": "connection.sni", "notValues": [name]}],
                }
                for name in names
            ],
        },
    }
    title = "Deny these hosts on connections whose SNI is another name"
    return Fix(title, (Change.created(manifest),), needs_review=True)
