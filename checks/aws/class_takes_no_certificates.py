"""The AWS controller's own Gateway classes."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, gateway_api


class ClassTakesNoCertificates(Probe):
    """The ALB or NLB of this Gateway gets no certificate from it.

    The AWS Load Balancer Controller is a Gateway controller too (`gateway.k8s.aws/alb` and
    `gateway.k8s.aws/nlb`). It takes certificates from ACM, by a LoadBalancerConfiguration or by
    host name, and reads neither `certificateRefs` nor the annotations of Services.

    Not a problem for Gateways of other controllers, where certificateRefs are the way.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.infrastructure.parametersRef}'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/gateway.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: aws-alb}
    spec: {controllerName: gateway.k8s.aws/alb}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: aws-alb
      listeners:
      - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY,)
    needs = (kinds.GATEWAY_CLASS,)
    symptoms = ("ERR_SSL_PROTOCOL_ERROR",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """certificateRefs and Service annotations on a Gateway of gateway.k8s.aws."""
        controller = gateway_api.controller(gateway, cluster)
        if not controller.startswith("gateway.k8s.aws/"):
            return
        for listener in gateway_api.listeners(gateway):
            if any(listener.field.each("tls", "certificateRefs")):
                yield self.finding(
                    listener.field.at("tls", "certificateRefs"),
                    f"{controller} does not read certificateRefs (listener {listener.name})",
                    advice="Name the ACM certificate in a LoadBalancerConfiguration that "
                    "spec.infrastructure.parametersRef points to, or let the controller find it "
                    "by the host name of the listener",
                )
        places = (aws.INFRASTRUCTURE, ("metadata", "annotations"))
        lost = [s for p in places for k, s in gateway.entries(*p) if aws.is_aws_key(k)]
        if lost:
            yield self.finding(
                lost[0],
                f"{controller} does not read Service annotations such as {lost[0].path[-1]}",
                because=tuple(lost[1:]),
                advice="Say it in a LoadBalancerConfiguration that "
                "spec.infrastructure.parametersRef points to",
            )
