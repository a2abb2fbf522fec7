"""Addresses that the scheme cannot have."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws

#: The annotation, and the scheme it takes.
_ADDRESSES = (("eip-allocations", "internet-facing"), ("private-ipv4-addresses", "internal"))


class SchemeContradictsAddresses(Probe):
    """The NLB is not built: these addresses belong to the other scheme.

    `aws-load-balancer-eip-allocations` is for internet-facing load balancers only and
    `aws-load-balancer-private-ipv4-addresses` for internal ones. Without
    `aws-load-balancer-scheme` a load balancer is internal, so Elastic IPs alone do not do.

    Not a problem where the scheme fits, or no address is asked for.

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
          service.beta.kubernetes.io/aws-load-balancer-eip-allocations: eipalloc-1,eipalloc-2
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
          service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("FailedBuildModel",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Elastic IPs on an internal load balancer, private addresses on a public one."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed or found.has("internal"):
            return
        scheme = found.text("scheme") or "internal"
        contradicted = [(key, s) for key, s in _ADDRESSES if found.has(key) and s != scheme]
        for key, fitting in contradicted:
            fix = found.fix(f"Make the NLB {fitting}", "scheme", fitting)
            if len([k for k, _ in _ADDRESSES if found.has(k)]) > 1:
                fix = None  # either scheme contradicts one of them
            yield self.finding(
                found.where(key),
                f"{key} needs scheme {fitting}, and the NLB is {scheme}",
                because=found.because(found.where("scheme")),
                fix=fix,
                advice="" if fix else "Choose the scheme, and keep the addresses that fit it",
            )
