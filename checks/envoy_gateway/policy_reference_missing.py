"""A policy that needs what is not there, or not permitted."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, grants
from gwdoctor.resolve.references import Reference

_READ = (kinds.SERVICE, kinds.SECRET, kinds.CONFIG_MAP, kinds.BACKEND)


class PolicyReferenceMissing(Probe):
    """This policy is refused: something that it refers to is missing.

    The Secrets, ConfigMaps and backends of a policy have to exist, and one in another namespace
    takes a ReferenceGrant there with `from` of group `gateway.envoyproxy.io` and the kind of the
    *policy*. Requests that a refused SecurityPolicy was to judge are answered 500.

    Not a problem where the controller accepted the policy as it is now.

    ```sh
    kubectl get securitypolicies,envoyextensionpolicies -A -o yaml | grep -B2 -A6 'reason: Invalid'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi; issue 5743.

    ```yaml bad
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: SecurityPolicy
    metadata: {name: login, namespace: app}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: web}]
      oidc:
        provider: {issuer: "https://accounts.example.com"}
        clientID: web
        clientSecret: {name: oidc-client}
    ```
    """

    severity = Severity.CRITICAL
    subjects = envoy_gateway.POLICIES
    needs = (*_READ, kinds.REFERENCE_GRANT)
    symptoms = ("500 Internal Server Error",)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """References of a policy that are not there or not permitted."""
        if envoy_gateway.is_accepted(policy):
            return
        for reference in envoy_gateway.references(policy):
            problem = _problem(reference, cluster)
            if problem:
                yield self.finding(
                    reference.field,
                    problem,
                    advice="Make it, name one that exists, or permit the reference with a "
                    f"ReferenceGrant from {policy.ref.kind.name} in its namespace",
                )


def _problem(reference: Reference, cluster: Cluster) -> str:
    owner, target = reference.owner, (reference.kind, reference.namespace, reference.name)
    if not grants.permits(cluster, owner.ref.kind, owner.namespace, *target):
        return (
            f"no ReferenceGrant in namespace {reference.namespace} permits {owner.ref.kind.name} "
            f"of namespace {owner.namespace} to use {reference.kind.name} {reference.name}"
        )
    if reference.kind not in _READ:
        return ""
    found = cluster.get(*target)
    if found is None:
        return f"{reference} does not exist"
    port = reference.field.number("port")
    if reference.kind == kinds.SERVICE and port is not None:
        numbers = [p.number("port") for p in found.each("spec", "ports")]
        if port not in numbers:
            return f"{reference} has no port {port}"
    return ""
