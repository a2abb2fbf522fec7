"""Keys that no controller reads from a Service."""

import difflib
from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws

_NAMES = """
    type nlb-target-type scheme internal ssl-cert ssl-ports ssl-negotiation-policy backend-protocol
    alpn-policy proxy-protocol proxy-protocol-per-target-group target-group-attributes
    healthcheck-protocol healthcheck-port healthcheck-path healthcheck-healthy-threshold
    healthcheck-unhealthy-threshold healthcheck-timeout healthcheck-interval
    healthcheck-success-codes attributes subnets eip-allocations private-ipv4-addresses
    ipv6-addresses ip-address-type security-groups manage-backend-security-group-rules name
    target-node-labels additional-resource-tags enable-tcp-udp-listener quic-enabled-ports
    multi-cluster-target-group disable-nlb-sg
"""
_KEYS = tuple(_NAMES.split())
_INGRESS = "alb.ingress.kubernetes.io/"


class AnnotationNeverRead(Probe):
    """An annotation meant for the load balancer has no effect.

    Services are configured by `service.beta.kubernetes.io/aws-load-balancer-*`. Keys of the
    Ingress controller (`alb.ingress.kubernetes.io/*`), keys without the prefix and keys with a
    letter wrong are valid annotations that nobody reads.

    Not a problem for keys of other tools, nor for one that stands beside its right spelling.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].metadata.annotations}'
    ```

    Source: aws-load-balancer-controller 3, pkg/annotations/constants.go.

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
          service.beta.kubernetes.io/aws-load-balancer-ssl-port: "443"
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
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: "443"
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Ingress keys, keys without prefix, near misses."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        foreign = [spot for key, spot in found.annotations.items() if key.startswith(_INGRESS)]
        if foreign:
            names = ", ".join(sorted(str(spot.path[-1]) for spot in foreign))
            yield self.finding(
                foreign[0],
                f"{names} is read from an Ingress, never from a Service",
                because=found.because(*foreign[1:]),
                advice="Use the keys service.beta.kubernetes.io/aws-load-balancer-* "
                "(certificate-arn is ssl-cert there), or an Ingress for an ALB",
            )
        for key, spot in found.annotations.items():
            meant = _meant(key)
            if meant and not found.has(meant):
                yield self._misspelt(key, meant, spot, found)

    def _misspelt(self, key: str, meant: str, spot: Field, found: aws.Balancer) -> Finding:
        fix = found.fix(f"Write it as {aws.PREFIX}{meant}", meant, spot.text())
        return self.finding(
            spot,
            f"nobody reads {key}; the annotation is {aws.PREFIX}{meant}",
            because=found.because(),
            fix=fix,
            advice="" if fix else f"Rename it to {aws.PREFIX}{meant}",
        )


def _meant(key: str) -> str:
    """The known key that this one is a slip of, or an empty string."""
    if key.startswith("aws-load-balancer-"):
        name = key.removeprefix("aws-load-balancer-")
        return name if name in _KEYS else ""
    if not aws.is_aws_key(key):
        return ""
    name = key.removeprefix(aws.PREFIX)
    # What older providers read and the controller tolerates must not look like a slip.
    old = ("access-log", "cross-zone", "connection", "extra-security", "listener-attributes.")
    if name in _KEYS or name.startswith(old):
        return ""
    close = difflib.get_close_matches(name, _KEYS, n=1, cutoff=0.88)
    return close[0] if close else ""
