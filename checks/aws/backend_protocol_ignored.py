"""A backend-protocol that is none."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class BackendProtocolIgnored(Probe):
    """The NLB sends clear text whatever this backend-protocol says.

    A Network Load Balancer knows `ssl` and `tcp` for `aws-load-balancer-backend-protocol`, and
    only on ports where it ends TLS. `http`, `https` and `tls`, which Classic load balancers
    took, count as `tcp` without a word.

    Not a problem for `ssl` and `tcp`, or where nothing is set.

    ```sh
    kubectl get service -A -o yaml | grep aws-load-balancer-backend-protocol
    ```

    Source: aws-load-balancer-controller 3, pkg/service; issue 2296.

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
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: "443"
          service.beta.kubernetes.io/aws-load-balancer-backend-protocol: http
      listeners:
      - {name: https, port: 443, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-backend-protocol: tcp
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Any other word; not where aws/plain-text-into-tls-listener has its fix on this key."""
        found = aws.balancer(gateway, cluster)
        if found is None or found.text("backend-protocol") in ("", "ssl", "tcp"):
            return
        encrypted = [one for p in found.ports if found.ends_tls(p) for one in p.listeners]
        if any(one.protocol in ("HTTPS", "TLS") for one in encrypted):
            return
        fix = found.fix("Say what happens", "backend-protocol", "tcp", needs_review=False)
        yield self.finding(
            found.where("backend-protocol"),
            f'backend-protocol "{found.text("backend-protocol")}" is no value of an NLB and '
            "counts as tcp",
            because=found.because(),
            fix=fix,
            advice="" if fix else "Take the annotation away, or say tcp",
        )
