"""Two PeerAuthentications for one thing: Istio takes the oldest and forgets the other."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls


class PeerAuthenticationIgnored(Probe):
    """A PeerAuthentication has no effect: an older one covers the same Pods.

    PeerAuthentications of one scope (the mesh, a namespace, a workload) are not merged. The
    oldest counts, entirely; of the younger not even a `portLevelMtls` entry for another port is
    used. Nothing in its status says so: istiod only writes a line into its log.

    Not a problem between scopes: one with a selector beats that of its namespace, which beats
    that of the mesh, whatever their age.

    ```sh
    kubectl get peerauthentications -n NAMESPACE --sort-by=.metadata.creationTimestamp
    ```

    Source: istio 1.32 pilot/pkg/security/authn (ComposePeerAuthentication); istio/istio#48036.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec: {mtls: {mode: PERMISSIVE}}
    ---
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: strict, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"}
    spec: {mtls: {mode: STRICT}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.PEER_AUTHENTICATION,)
    needs = (kinds.POD, kinds.CONFIG_MAP)
    symptoms = ("NR filter_chain_not_found",)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An older one of the same scope."""
        if policy.has("metadata", "deletionTimestamp"):
            return
        older, scope = self._winner(policy, cluster)
        if older is None:
            return
        same = _content(policy) == _content(older)
        dated = bool(policy.created and older.created)
        fix = None
        if same and istio_mtls.selector(policy) == istio_mtls.selector(older):
            fix = Fix("Delete the PeerAuthentication that has no effect", (policy.deleted(),))
        yield self.finding(
            policy.at("spec"),
            f"has no effect on {scope}: {older.name} "
            + ("is older" if dated else "comes first when both are of one age")
            + (" and says the same" if same else f" ({_told(older)}) and counts alone"),
            severity=Severity.LOW if same else None,
            confidence=None if dated else Confidence.LIKELY,
            because=(older.at("metadata", "creationTimestamp"),),
            fix=fix,
            advice=f"Write into {older.name} what both are to say and delete this one, "
            "or give them selectors that share no Pod",
        )

    def _winner(self, policy: Resource, cluster: Cluster) -> tuple[Resource | None, str]:
        if not istio_mtls.selector(policy):
            first = istio_mtls.policies(cluster).wide[policy.namespace][0]
            root = istio_mesh.mesh(cluster).root_namespace
            scope = "the mesh" if policy.namespace == root else f"namespace {policy.namespace}"
            return (None if first == policy else first), scope
        for labels in istio_mtls.reached(cluster, policy):
            oldest = istio_mtls.narrow_policy(cluster, policy.namespace, labels)
            if oldest is not None and oldest != policy:
                return oldest, f"Pods with {_words(labels, policy, oldest)}"
        return None, ""


def _words(labels: Mapping[str, str], *selecting: Resource) -> str:
    keys = sorted({key for policy in selecting for key in istio_mtls.selector(policy)})
    return ", ".join(f"{key}={labels[key]}" for key in keys if key in labels)


def _content(policy: Resource) -> tuple[str, tuple[tuple[str, str], ...]]:
    ports = ((port, entry.text("mode")) for port, entry in policy.entries("spec", "portLevelMtls"))
    return policy.text("spec", "mtls", "mode") or "UNSET", tuple(sorted(ports))


def _told(policy: Field) -> str:
    ports = [f"{p} {e.text('mode')}" for p, e in policy.entries("spec", "portLevelMtls")]
    mode = policy.text("spec", "mtls", "mode") or "UNSET"
    return f"mode {mode}" + (f", ports {', '.join(ports)}" if ports else "")
