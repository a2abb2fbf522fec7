"""No scheme, so the load balancer is internal."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class InternalWithoutBeingAsked(Probe):
    """Nobody reaches the NLB from the internet: internal is its default.

    The AWS Load Balancer Controller makes internal load balancers unless
    `aws-load-balancer-scheme: internet-facing` asks for the other sort. The DNS name resolves
    everywhere, to private addresses, and connections from outside time out. The provider inside
    Kubernetes had it the other way round.

    Not a problem where an internal load balancer is meant; `scheme: internal` says so.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].status.loadBalancer.ingress[*].hostname}' | xargs -n1 dig +short
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, scheme; issue 2049.

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
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.POSSIBLE
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Connection timed out",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Service that the controller takes and that names no scheme."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed:
            return
        asked = ("scheme", "internal", "eip-allocations", "private-ipv4-addresses")
        if any(found.has(key) for key in asked):
            return
        yield self.finding(
            found.where("scheme"),
            "no aws-load-balancer-scheme is set: the NLB is internal",
            advice="Choose aws-load-balancer-scheme: internet-facing or internal; changing it "
            "replaces the load balancer and its address",
        )
