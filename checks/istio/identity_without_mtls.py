"""An AuthorizationPolicy that asks who calls, where nobody says."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls

_IDENTITY = ("principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts")
_KEYS = ("source.principal", "source.namespace", "source.serviceAccount")


class IdentityWithoutMtls(Probe):
    """An AuthorizationPolicy asks for an identity that calls do not carry.

    `principals`, `namespaces` and `serviceAccounts` come from the client's mesh certificate.
    Where PeerAuthentication is DISABLE calls arrive in plaintext and have none: an ALLOW policy
    lets nobody in, a DENY policy stops nobody.

    Not a problem in mode PERMISSIVE: clients with a sidecar use mTLS there.

    ```sh
    istioctl x describe pod POD -n NAMESPACE
    ```

    Source: istio 1.32 pilot/pkg/security/authz (source principal), Kiali KIA0105.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: orders, namespace: shop}
    spec:
      selector: {matchLabels: {app: orders}}
      rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/web]}}]}]
    ---
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: shop}
    spec: {mtls: {mode: DISABLE}}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: orders-1
      namespace: shop
      labels: {app: orders, security.istio.io/tlsMode: istio}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.AUTHORIZATION_POLICY,)
    needs = (kinds.POD, kinds.PEER_AUTHENTICATION, kinds.CONFIG_MAP)
    symptoms = ("RBAC: access denied",)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The first condition on an identity, for Pods that are called in plaintext."""
        asked = next(_conditions(policy), None)
        if asked is None or policy.namespace == istio_mesh.mesh(cluster).root_namespace:
            return
        if policy.has("spec", "targetRefs") or policy.has("spec", "targetRef"):
            return  # for a waypoint or gateway, which has mTLS of its own
        wanted = policy.labels("spec", "selector", "matchLabels")
        called = [wanted]  # where no Pod can be seen, the selector stands for their labels
        if cluster.sees(kinds.POD, policy.namespace):
            called = [
                pod.own_labels
                for pod in cluster.select(kinds.POD, wanted, policy.namespace)
                if istio_mesh.has_sidecar(pod)
            ]
        modes = {istio_mtls.mode_of(cluster, policy.namespace, labels) for labels in called}
        if not modes or any(mode.name != "DISABLE" for mode in modes):
            return
        denies = policy.text("spec", "action") == "DENY"
        yield self.finding(
            asked,
            "calls arrive in plaintext (PeerAuthentication mode DISABLE) and carry no identity: "
            + ("this policy denies nobody" if denies else "this rule matches nobody"),
            severity=Severity.HIGH if denies else None,
            because=tuple({m.field: None for m in modes if m.field is not None}),
            advice="Set the workload's PeerAuthentication to STRICT (or PERMISSIVE while clients "
            "without sidecar remain), or write a rule that needs no identity",
        )


def _conditions(policy: Resource) -> Iterator[Field]:
    for rule in policy.each("spec", "rules"):
        for origin in rule.each("from"):
            for name in _IDENTITY:
                if origin.has("source", name):
                    yield origin.at("source", name)
        for condition in rule.each("when"):
            if condition.text("key") in _KEYS:
                yield condition.at("key")
