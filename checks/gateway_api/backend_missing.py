"""A backendRef to nothing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api
from gwdoctor.resolve.gateway_api import BackendRef


class BackendMissing(Probe):
    """Requests get 500: the backend of this rule does not exist.

    A backendRef without `namespace` means the namespace of the route. The share of requests that
    the missing backend's weight stands for is answered 500, all of them if it is the only one;
    the route stays Accepted, only ResolvedRefs tells.

    Not a problem for a backend with weight 0, or of a kind that gwdoctor does not read.

    ```sh
    kubectl get service NAME -n NAMESPACE
    ```

    Source: gateway-api 1.6 conformance, httproute-invalid-nonexistent-backendref
    (BackendNotFound).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: backend}
    spec: {ports: [{port: 8080}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = gateway_api.ROUTES
    needs = (kinds.SERVICE, kinds.BACKEND)
    symptoms = (
        "500 Internal Server Error",
        "BackendNotFound",
        "no healthy upstream",
        "no existing backendRef provided",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Services and Envoy Gateway Backends that are not there, each told once a rule."""
        told = set()
        for backend in gateway_api.backend_refs(route):
            if backend.kind not in (kinds.SERVICE, kinds.BACKEND) or not backend.name:
                continue
            key = (backend.rule.path, backend.kind, backend.namespace, backend.name)
            if key in told or (backend.weight == 0 and not backend.is_mirror):
                continue
            if cluster.get(backend.kind, backend.namespace, backend.name) is not None:
                continue
            told.add(key)
            elsewhere = gateway_api.named(backend.kind, backend.name, cluster)
            where = ", ".join(other.namespace for other in elsewhere)
            yield self.finding(
                backend.field,
                f"{backend.kind.name} {backend.namespace}/{backend.name} does not exist"
                + (f"; namespace {where} has one of that name" if where else ""),
                root=route,
                marker=f"{backend.namespace}:{backend.port}",
                severity=_severity(backend, cluster),
                because=tuple(elsewhere),
                advice="Name a backend that exists"
                + (", with its namespace and a ReferenceGrant there" if where else ""),
            )


def _severity(backend: BackendRef, cluster: Cluster) -> Severity:
    if backend.is_mirror:
        return Severity.MEDIUM
    others = [
        other
        for other in gateway_api.backend_refs(backend.route)
        if other.rule == backend.rule and not other.is_mirror and other.weight > 0
    ]
    alive = any(
        (o.kind, o.namespace, o.name) != (backend.kind, backend.namespace, backend.name)
        for o in others
    )
    return Severity.HIGH if alive else Severity.CRITICAL
