"""The authority knocks at a door that is not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api


class HttpSolverWithoutWayIn(Probe):
    """An HTTP-01 solver's route cannot be reached on port 80.

    The authority always begins at port 80 with plain HTTP. A `gatewayHTTPRoute` solver puts its
    route on the Gateway that the solver names; without an HTTP listener on port 80 there that
    takes routes of the namespace, the challenge never succeeds. An `ingress` solver's class must
    be one that exists.

    Not a problem where a load balancer maps port 80 to another port of the Gateway: then the
    listener has that other port, and this is wrong (likely, not certain). For a ClusterIssuer whose
    parentRef has no namespace, the namespace is that of each Certificate: not looked at.

    Check it yourself: any answer but a refused connection will do.

    ```sh
    curl -si http://HOST/.well-known/acme-challenge/test | head -1
    ```

    Source: RFC 8555 section 8.3; cert-manager 1.21, pkg/issuer/acme/http/httproute.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: letsencrypt, namespace: shop}
    spec:
      acme:
        solvers:
        - http01: {gatewayHTTPRoute: {parentRefs: [{name: edge, kind: Gateway}]}}
        - http01: {ingress: {ingressClassName: kong}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: shop}
    spec:
      gatewayClassName: eg
      listeners: [{name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: edge-tls}]}}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: edge-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    needs = (kinds.GATEWAY, kinds.LISTENER_SET, kinds.NAMESPACE, kinds.INGRESS_CLASS)
    symptoms = (
        "failed to perform self check GET request",
        "Connection refused",
        "wrong status code '404', expected '200'",
    )

    def check(self, issuer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each parent of a solver's route, and each class of a solver's Ingress."""
        for solver in issuer.each("spec", "acme", "solvers"):
            for parent in solver.each("http01", "gatewayHTTPRoute", "parentRefs"):
                problem, because = _closed(parent, issuer, cluster)
                if problem:
                    yield self.finding(
                        parent.at("name"),
                        f"the challenge cannot come in: {problem}",
                        root=issuer,
                        because=because,
                        advice="Add an HTTP listener on port 80 that takes routes of the "
                        "Certificates' namespaces, or name a Gateway that has one",
                    )
            name = solver.at("http01", "ingress", "ingressClassName")
            if name.text() and cluster.get(kinds.INGRESS_CLASS, "", name.text()) is None:
                yield self.finding(
                    name,
                    f"the challenge cannot come in: the IngressClass {name.text()} does not exist",
                    root=issuer,
                    advice="Name an IngressClass that exists: kubectl get ingressclasses",
                )


def _closed(parent: Field, issuer: Resource, cluster: Cluster) -> tuple[str, tuple[Resource, ...]]:
    """Why no challenge comes in by this parent, and the Gateway; an empty string if one may."""
    kind = gateway_api.parent_kind(parent)
    namespace = parent.text("namespace") or issuer.namespace
    if kind is None or not namespace:
        return "", ()
    name = f"{kind.name} {namespace}/{parent.text('name')}"
    gateway = cluster.get(kind, namespace, parent.text("name"))
    if gateway is None:
        return f"the {name} does not exist", ()
    open_ones = [
        listener
        for listener in gateway_api.listeners(gateway)
        if listener.protocol == "HTTP"
        and listener.port == 80
        and parent.text("sectionName") in ("", listener.name)
    ]
    if not open_ones:
        return f"the {name} has no HTTP listener on port 80", (gateway,)
    takers = (
        gateway_api.takes_namespace(listener, issuer.namespace, cluster) for listener in open_ones
    )
    if issuer.namespace and not any(takers):
        why = f"takes no routes of the namespace {issuer.namespace}"
        return f"the HTTP listener of the {name} {why}", (gateway,)
    return "", ()
