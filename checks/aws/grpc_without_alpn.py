"""gRPC through a TLS port without HTTP/2."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, gateway_api, http_matches


class GrpcWithoutAlpn(Probe):
    """gRPC clients cannot connect: the NLB does not offer HTTP/2.

    Where the load balancer ends TLS, it is also the one that negotiates HTTP/2 by ALPN, and
    without `aws-load-balancer-alpn-policy` it offers nothing. gRPC libraries insist on `h2`;
    browsers quietly fall back to HTTP/1.1.

    Not a problem on ports that the load balancer passes through, where Envoy negotiates.

    ```sh
    openssl s_client -connect HOST:443 -alpn h2 </dev/null 2>/dev/null | grep ALPN
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, alpn-policy.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-type: external
          service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:1:certificate/c
      listeners:
      - {name: https, port: 443, protocol: HTTP}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GRPCRoute
    metadata: {name: api, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      rules:
      - backendRefs: [{name: api, port: 9000}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-alpn-policy: HTTP2Preferred
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GRPC_ROUTE,)
    needs = (kinds.GATEWAY_CLASS, kinds.ENVOY_PROXY, kinds.SERVICE, *http_matches.NEEDS)
    symptoms = ("missing selected ALPN property", "cannot check peer: missing selected ALPN")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """GRPCRoutes on a TLS port of a load balancer that offers no h2."""
        for parent in gateway_api.parents(route, cluster):
            for listener in parent.attached:
                gateway = gateway_api.gateway_of(listener.owner, cluster)
                found = aws.balancer(gateway, cluster) if gateway is not None else None
                port = aws.port_of(found, listener) if found is not None else None
                if found is None or port is None or not found.ends_tls(port):
                    continue
                if found.text("alpn-policy").startswith("HTTP2"):
                    continue
                fix = found.fix("Offer HTTP/2", "alpn-policy", "HTTP2Preferred")
                yield self.finding(
                    found.where("alpn-policy"),
                    f"the NLB offers no HTTP/2 on port {port.number}, which GRPCRoute "
                    f"{route.namespace}/{route.name} needs",
                    because=found.because(parent.field, found.where("ssl-cert")),
                    fix=fix,
                    advice="" if fix else "Set aws-load-balancer-alpn-policy: HTTP2Preferred",
                    marker=f"{route.namespace}/{route.name}",
                )
                return
