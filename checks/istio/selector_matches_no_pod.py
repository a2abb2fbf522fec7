"""A policy for Pods that are not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh

_REACHES_ALL = (kinds.AUTHORIZATION_POLICY, kinds.REQUEST_AUTHENTICATION)


class SelectorMatchesNoPod(Probe):
    """A policy or Sidecar selects no Pod: it has no effect.

    The selector is compared with labels of Pods in the policy's own namespace; those of the
    Deployment or Service do not count. An AuthorizationPolicy or RequestAuthentication in the
    root namespace selects in every namespace, a PeerAuthentication or Sidecar does not.

    Not a problem while the workload is scaled to zero, or with `targetRefs` in place of a
    selector.

    ```sh
    kubectl get pods -n NAMESPACE -l KEY=VALUE
    ```

    Source: istio 1.32 pilot/pkg/model (workload selectors); pkg/config/analysis (IST0127).

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: wbe}}
      action: DENY
      rules: [{to: [{operation: {paths: [/admin]}}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web-1, namespace: shop, labels: {app: web}}
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.CERTAIN
    subjects = (
        kinds.AUTHORIZATION_POLICY,
        kinds.PEER_AUTHENTICATION,
        kinds.REQUEST_AUTHENTICATION,
        kinds.SIDECAR,
    )
    needs = (kinds.POD, kinds.CONFIG_MAP)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A selector with labels that no Pod in its reach carries."""
        steps = ("spec", "selector", "matchLabels")
        if policy.ref.kind == kinds.SIDECAR:
            steps = ("spec", "workloadSelector", "labels")
        wanted = policy.labels(*steps)
        if not wanted:
            return
        root = istio_mesh.mesh(cluster).root_namespace
        everywhere = policy.ref.kind in _REACHES_ALL and policy.namespace == root
        if everywhere:
            cluster.every(kinds.POD)
            found = cluster.select(kinds.POD, wanted)
        else:
            found = cluster.select(kinds.POD, wanted, policy.namespace)
        is_peer = policy.ref.kind == kinds.PEER_AUTHENTICATION
        if is_peer and not found and policy.namespace == root:
            found = cluster.select(kinds.POD, wanted)  # istio/root-peer-authentication-selects
        if found:
            return
        labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
        place = "any namespace" if everywhere else f"namespace {policy.namespace}"
        yield self.finding(
            policy.at(*steps),
            f"no Pod in {place} has {labels}",
            advice="Write the labels of the Pods that are meant (kubectl get pods --show-labels), "
            "or delete the policy",
        )
