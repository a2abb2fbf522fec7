"""A backendRef of a kind that nothing serves."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity
from gwdoctor.resolve import gateway_api

#: Groups with kinds that some controller takes as backends.
_GROUPS = (
    "multicluster.x-k8s.io",
    "gateway.envoyproxy.io",
    "inference.networking.k8s.io",
    "inference.networking.x-k8s.io",
    "gateway.networking.x-k8s.io",
    "networking.istio.io",
    "net.gke.io",
    "gateway.kgateway.dev",
    "agentgateway.dev",
    "gateway.solo.io",
    "traefik.io",
    "konghq.com",
    "configuration.konghq.com",
    "incubator.ingress-controller.konghq.com",
    "gateway.k8s.aws",
    "aigateway.envoyproxy.io",
    "kuma.io",
)


class BackendKindUnknown(Probe):
    """Requests get 500: no controller takes a backend of this kind.

    Backends are Services of the core group, whose `group` is `""` or left out: `core` and `v1`
    are other, unknown groups. Which further kinds are taken depends on the controller.

    Not a problem for kinds that controllers bring along (Backend, ServiceImport, InferencePool).

    ```sh
    kubectl get httproute web -n app -o jsonpath='{.status.parents[*].conditions}'
    ```

    Source: gateway-api 1.6 conformance, httproute-invalid-backendref-unknown-kind (InvalidKind).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: app}
    spec: {selector: {app: web}, ports: [{port: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web-1, namespace: app, labels: {app: web}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      parentRefs: [{name: edge}]
      rules: [{backendRefs: [{group: core, kind: Service, name: web, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: app}
    spec:
      rules: [{backendRefs: [{group: "", kind: Service, name: web, port: 8080}]}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    symptoms = (
        "500 Internal Server Error",
        "InvalidKind",
        "no existing backendRef provided",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Kinds of the core group other than Service, and groups that nobody knows."""
        for backend in gateway_api.backend_refs(route):
            kind = backend.kind
            if kind.group in _GROUPS or (kind.group == "" and kind.name == "Service"):
                continue
            said = [
                gateway_api.parent_condition(route, reference, "ResolvedRefs")
                for reference in route.each("spec", "parentRefs")
            ]
            if any(c is not None and c.text("status") == "True" for c in said):
                continue  # a controller that we do not know takes it
            group = kind.group or "the core group"
            fix = None
            if kind.name == "Service" and kind.group in ("core", "v1"):
                change = route.changed(*backend.field.path, "group", to="")
                fix = Fix("Write the core group as it is compared", (change,))
            yield self.finding(
                backend.field,
                f"{kind.name} of {group} is no kind of backend that a controller is known to take",
                root=route,
                severity=Severity.MEDIUM if backend.is_mirror else Severity.CRITICAL,
                fix=fix,
                advice=""
                if fix
                else "Leave group and kind out for a Service, or name a kind that the controller "
                "of the Gateway documents",
            )
