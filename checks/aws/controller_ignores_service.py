"""AWS annotations on a Service that the AWS Load Balancer Controller leaves alone."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class ControllerIgnoresService(Probe):
    """The AWS Load Balancer Controller does not take this Service.

    It takes Services with `aws-load-balancer-type: external` (or the old `nlb-ip`), or with
    `loadBalancerClass: service.k8s.aws/nlb`, which its webhook writes as a Service is *made*.
    `type: nlb` is the word of the provider inside Kubernetes: an NLB comes, but `ip` targets and
    newer annotations are not read. Without either a Classic load balancer comes.

    Not a problem where the Service carries one of these classes, or that of EKS Auto Mode
    (`eks.amazonaws.com/nlb`), whatever the annotation says.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].spec.loadBalancerClass}'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md and pkg/service.

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
          service.beta.kubernetes.io/aws-load-balancer-type: nlb
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Connection timed out",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Annotations for a controller that has no reason to look."""
        found = aws.balancer(gateway, cluster)
        if found is None or found.is_claimed or not any(map(aws.is_aws_key, found.annotations)):
            return
        kind = found.text("type")
        severity, confidence = Severity.HIGH, Confidence.LIKELY
        if found.load_balancer_class:
            why = f"loadBalancerClass {found.load_balancer_class} belongs to another controller"
        elif kind == "nlb":
            why = 'type "nlb" asks the provider inside Kubernetes, not the controller'
            severity = Severity.MEDIUM  # an NLB does come
        elif kind:
            why = f'type "{kind}" is no value that it knows'
        else:
            why = "neither aws-load-balancer-type nor a loadBalancerClass names it"
            if found.service is None:  # its webhook may have set the class
                severity, confidence = Severity.MEDIUM, Confidence.POSSIBLE
        because = found.because()
        if found.load_balancer_class and found.service is not None:
            because = (*because, found.service.at("spec", "loadBalancerClass"))
        yield self.finding(
            found.where("type"),
            f"the AWS Load Balancer Controller leaves this Service alone: {why}",
            severity=severity,
            confidence=confidence,
            because=because,
            advice="Set aws-load-balancer-type: external before the Service is made; one that "
            "exists has to be made anew, which gives the load balancer a new address",
        )
