"""A PeerAuthentication meant for the mesh, tied to the root namespace by a selector."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls


class RootPeerAuthenticationSelects(Probe):
    """A PeerAuthentication in the root namespace reaches no other namespace.

    Without a selector one in the root namespace holds for the whole mesh. With a selector it
    does not mean "these Pods in every namespace", as an AuthorizationPolicy there would: Pods of
    other namespaces never see it.

    Not a problem, as far as this check goes, where the selector matches Pods of the root
    namespace itself, such as gateways: it may be meant for those.

    ```sh
    kubectl get pods -A -l SELECTOR
    ```

    Source: istio 1.32 pilot/pkg/security/authn (ComposePeerAuthentication).

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: orders, namespace: istio-system}
    spec:
      selector: {matchLabels: {app: orders}}
      mtls: {mode: STRICT}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: orders-1, namespace: shop, labels: {app: orders}}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.PEER_AUTHENTICATION,)
    needs = (kinds.POD, kinds.CONFIG_MAP)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One in the root namespace whose selector matches Pods elsewhere only."""
        wanted = istio_mtls.selector(policy)
        if not wanted or policy.namespace != istio_mesh.mesh(cluster).root_namespace:
            return
        if cluster.select(kinds.POD, wanted, policy.namespace):
            return
        pods = cluster.select(kinds.POD, wanted)
        if not pods:
            return
        labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
        homes = sorted({pod.namespace for pod in pods})
        yield self.finding(
            policy.at("spec", "selector"),
            f"Pods with {labels} are in namespace {', '.join(homes[:3])}, "
            f"where a selector of the root namespace {policy.namespace} has no effect",
            because=(pods[0],),
            advice="Move it into the namespace of the Pods (one for each), or drop the selector "
            "if the whole mesh is meant",
        )
