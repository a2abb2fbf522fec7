"""Values that stop the controller."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws

#: What each of these annotations may say; the case counts.
_VALUES = {
    "alpn-policy": ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"),
    "nlb-target-type": ("instance", "ip"),
    "proxy-protocol": ("*",),
    "scheme": ("internal", "internet-facing"),
}


class AnnotationValueRefused(Probe):
    """The NLB is not built or updated: an annotation has no such value.

    The AWS Load Balancer Controller gives up on a Service with a value it does not know, writes
    an event and leaves what was there before. The case counts: `HTTP2Preferred`, not
    `http2preferred`; `proxy-protocol` takes `"*"` and nothing else.

    Not a problem where the controller does not take the Service at all: then nobody reads it.

    ```sh
    kubectl get events -A --field-selector reason=FailedBuildModel
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md.

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
          service.beta.kubernetes.io/aws-load-balancer-alpn-policy: http2preferred
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
          service.beta.kubernetes.io/aws-load-balancer-alpn-policy: HTTP2Preferred
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("FailedBuildModel",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Words that are not among those the controller knows."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed:
            return
        for key, known in _VALUES.items():
            value = found.text(key)
            if not found.has(key) or value in known:
                continue
            same = [word for word in known if word.lower() == value.lower()]
            fix = (
                found.fix(f"Spell it {same[0]}", key, same[0], needs_review=False) if same else None
            )
            yield self.finding(
                found.where(key),
                f'"{value}" is no value of aws-load-balancer-{key}',
                because=found.because(),
                fix=fix,
                advice="" if fix else f"It takes one of: {', '.join(known)}",
            )
