"""A health check that finds every node healthy."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class HealthCheckIgnoresLocalPolicy(Probe):
    """Some connections time out: nodes without an Envoy pass as healthy.

    With `externalTrafficPolicy: Local`, which Envoy Gateway sets unless told otherwise, a node
    without an Envoy Pod drops what it gets. For instance targets the controller therefore checks
    by HTTP on `healthCheckNodePort`. An annotation that asks for TCP, or for the traffic port,
    replaces that check by one that every node passes.

    Not a problem with `externalTrafficPolicy: Cluster` or with target type `ip`.

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o jsonpath='{.items[*].spec.healthCheckNodePort}'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, healthcheck-*; Envoy
    Gateway issues 5098 and 5195.

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
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: instance
          service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: tcp
          service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: traffic-port
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Connection timed out",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """TCP or traffic-port checks of instance targets with local traffic."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed:
            return
        if found.target_type != "instance" or not found.keeps_traffic_local:
            return
        overrides: list[Field] = []
        if found.text("healthcheck-protocol").lower() == "tcp":
            overrides.append(found.where("healthcheck-protocol"))
        if found.text("healthcheck-port") == "traffic-port":
            overrides.append(found.where("healthcheck-port"))
        if not overrides:
            return
        fix = None
        if all(spot.ref.kind != kinds.SERVICE for spot in overrides):
            owner = gateway if overrides[0].ref == gateway.ref else found.proxy
            if owner is not None and all(spot.ref == owner.ref for spot in overrides):
                removals = [{"op": "remove", "path": spot.pointer} for spot in overrides]
                command = aws.patch_command(owner, *removals)
                title = "Take the annotations away: the default check is the right one"
                fix = Fix(title, commands=(command,), needs_review=True)
        words = " and ".join(str(spot.path[-1]).removeprefix(aws.PREFIX) for spot in overrides)
        yield self.finding(
            overrides[0],
            f"{words} lets nodes without an Envoy Pod pass as healthy, and externalTrafficPolicy "
            "Local drops what they get",
            because=found.because(*overrides[1:]),
            fix=fix,
            advice="" if fix else "Take these annotations away, or use target type ip",
        )
