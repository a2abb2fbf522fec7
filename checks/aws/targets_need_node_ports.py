"""Instance targets without node ports."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class TargetsNeedNodePorts(Probe):
    """The NLB is not built: its instance targets need node ports.

    With target type `instance`, the default, the load balancer sends to node ports, and
    `allocateLoadBalancerNodePorts: false` on the EnvoyProxy's Service leaves none.

    Not a problem with `aws-load-balancer-nlb-target-type: ip`, which reaches Pods directly.

    ```sh
    kubectl get events -A --field-selector reason=FailedBuildModel
    ```

    Source: aws-load-balancer-controller 3, pkg/service; Envoy Gateway 1.9 EnvoyProxy API.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec:
      controllerName: gateway.envoyproxy.io/gatewayclass-controller
      parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: nlb, namespace: infra}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: EnvoyProxy
    metadata: {name: nlb, namespace: infra}
    spec:
      provider:
        type: Kubernetes
        kubernetes:
          envoyService:
            allocateLoadBalancerNodePorts: false
            annotations: {service.beta.kubernetes.io/aws-load-balancer-type: external}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("FailedBuildModel",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Instance targets of a Service that is told to take no node ports."""
        found = aws.balancer(gateway, cluster)
        if found is None or found.proxy is None or not found.is_claimed:
            return
        spot = found.proxy.at(*aws.ENVOY_SERVICE, "allocateLoadBalancerNodePorts")
        if spot.flag() is not False or found.target_type != "instance":
            return
        fix = found.fix("Let the NLB reach the Pods", "nlb-target-type", "ip")
        yield self.finding(
            spot,
            "the NLB sends to node ports and allocateLoadBalancerNodePorts false leaves none",
            because=(found.where("nlb-target-type"), gateway),
            fix=fix,
            advice="" if fix else "Set aws-load-balancer-nlb-target-type: ip",
        )
