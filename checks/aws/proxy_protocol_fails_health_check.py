"""PROXY protocol, instance targets, externalTrafficPolicy Local: all targets unhealthy."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class ProxyProtocolFailsHealthCheck(Probe):
    """No target is healthy: kube-proxy does not understand PROXY headers.

    With instance targets and `externalTrafficPolicy: Local`, which Envoy Gateway sets unless told
    otherwise, the load balancer checks health by HTTP on kube-proxy's `healthCheckNodePort`.
    PROXY protocol holds for that connection as well, and kube-proxy answers it with an error.

    Not a problem with target type `ip`, or with `externalTrafficPolicy: Cluster`.

    ```sh
    aws elbv2 describe-target-health --target-group-arn ARN --query \\
      'TargetHealthDescriptions[].TargetHealth.State'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/nlb.md; Envoy Gateway 1.9.

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
          service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: "*"
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Connection timed out",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The three together."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed:
            return
        if found.target_type != "instance" or not found.keeps_traffic_local:
            return
        if not any(port.is_tcp and found.sends_proxy_protocol(port) for port in found.ports):
            return
        fix = found.fix("Let the NLB reach the Pods", "nlb-target-type", "ip")
        yield self.finding(
            found.proxy_protocol_field,
            "PROXY protocol with instance targets and externalTrafficPolicy Local: the health "
            "check of kube-proxy fails on every node",
            because=found.because(found.where("nlb-target-type")),
            fix=fix,
            advice=""
            if fix
            else "Set aws-load-balancer-nlb-target-type: ip, or "
            "externalTrafficPolicy: Cluster on the EnvoyProxy",
        )
