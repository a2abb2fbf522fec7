"""Envoy waits for a PROXY header that the NLB does not send."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway
from gwdoctor.resolve.gateway_api import Listener


class ProxyProtocolOnlyAtEnvoy(Probe):
    """Every connection is dropped: Envoy waits for a PROXY header.

    A ClientTrafficPolicy with `proxyProtocol` (or the old `enableProxyProtocol`) makes the header
    mandatory unless it says `optional: true`. The load balancer sends it only when an annotation
    asks for it, and a health check by TCP connect does not notice.

    Not a problem with `proxyProtocol: {optional: true}`, or where the load balancer sends it.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o yaml | grep proxy-protocol
    ```

    Source: Envoy Gateway 1.9 ClientTrafficPolicy API, issue 6693; aws-load-balancer-controller 3,
    docs/guide/service/annotations.md.

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
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: edge, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      proxyProtocol: {optional: false}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: "*"
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (*aws.NEEDS, kinds.CLIENT_TRAFFIC_POLICY)
    symptoms = ("Empty reply from server", "Connection reset by peer")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Listeners that must see the header, on ports that do not get it."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        waiting: list[tuple[Listener, Resource]] = []
        for port in found.ports:
            if not port.is_tcp or found.sends_proxy_protocol(port):
                continue
            for one in port.listeners:
                policy = envoy_gateway.client_policy(one, gateway, cluster)
                if policy is not None and envoy_gateway.demands_proxy_protocol(policy):
                    waiting.append((one, policy))
        if not waiting:
            return
        policy = waiting[0][1]
        fix = None
        if not found.is_claimed or found.target_type == "ip" or not found.keeps_traffic_local:
            fix = found.fix("Let the NLB send the PROXY header", "proxy-protocol", "*")
        key = "proxyProtocol" if policy.has("spec", "proxyProtocol") else "enableProxyProtocol"
        yield self.finding(
            policy.at("spec", key),
            f"listener {', '.join(one.name for one, _ in waiting)} takes only connections with a "
            "PROXY header, and the NLB sends none",
            because=(gateway, *(one.field for one, _ in waiting)),
            fix=fix,
            advice=""
            if fix
            else 'Set aws-load-balancer-proxy-protocol: "*", with target type ip or '
            "externalTrafficPolicy: Cluster so that health checks still pass; or take proxyProtocol "
            "out of the policy",
            marker=gateway.name,
        )
