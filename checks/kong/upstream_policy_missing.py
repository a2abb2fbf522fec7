"""Balancing and health checks that are not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong

_KEY = "konghq.com/upstream-policy"


class UpstreamPolicyMissing(Probe):
    """Kong balances without the policy of a Service: it does not exist.

    `konghq.com/upstream-policy` names a KongUpstreamPolicy of the Service's own namespace.
    Without it Kong goes round robin and checks no health.

    Not a problem on a Service that Kong does not enter.

    ```sh
    kubectl -n NAMESPACE get kongupstreampolicy
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate, upstream (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/upstream-policy: sticky}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, kinds.KONG_UPSTREAM_POLICY)
    symptoms = ("failed fetching KongUpstreamPolicy",)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A name that leads to no policy."""
        field = service.at("metadata", "annotations", _KEY)
        if not field.text() or not kong.entries(service, cluster):
            return
        if cluster.get(kinds.KONG_UPSTREAM_POLICY, service.namespace, field.text()) is None:
            yield self.finding(
                field,
                f"there is no KongUpstreamPolicy {field.text()} in namespace {service.namespace}",
                root=service,
                advice="Make the policy beside the Service, or take the annotation away",
            )
