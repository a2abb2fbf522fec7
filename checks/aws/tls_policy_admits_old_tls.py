"""TLS 1.0 on the load balancer."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws

_DEFAULT = "ELBSecurityPolicy-2016-08"
_MODERN = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_OLD = ("-2016-08", "-TLS-1-0-", "-TLS-1-1-", "-TLS13-1-0-", "-TLS13-1-1-", "-FS-2018-06")


class TlsPolicyAdmitsOldTls(Probe):
    """The NLB takes TLS 1.0 and 1.1.

    Without `aws-load-balancer-ssl-negotiation-policy` a TLS listener gets
    `ELBSecurityPolicy-2016-08`, which admits TLS 1.0. What Envoy or a ClientTrafficPolicy say
    about versions does not matter where the load balancer ends TLS.

    Not a problem without `ssl-cert`, where TLS passes through, or for clients that need it.

    ```sh
    openssl s_client -connect HOST:443 -tls1 </dev/null
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md,
    ssl-negotiation-policy.

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
          service.beta.kubernetes.io/aws-load-balancer-ssl-negotiation-policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    ```
    """

    severity = Severity.LOW
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A TLS port with the default policy or another that is as old."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.items("ssl-cert"):
            return
        policy = found.text("ssl-negotiation-policy") or _DEFAULT
        if not any(part in f"{policy}-" or policy.endswith(part) for part in _OLD):
            return
        fix = found.fix("Ask for TLS 1.2 and newer", "ssl-negotiation-policy", _MODERN)
        given = "" if found.has("ssl-negotiation-policy") else ", the default,"
        yield self.finding(
            found.where("ssl-negotiation-policy"),
            f"{policy}{given} lets clients use TLS older than 1.2",
            because=found.because(),
            fix=fix,
            advice="" if fix else f"Set aws-load-balancer-ssl-negotiation-policy: {_MODERN}",
        )
