"""ssl-ports that the Service does not have."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class SslPortNotOnService(Probe):
    """The NLB is not built or updated: ssl-ports names an unknown port.

    An entry of `aws-load-balancer-ssl-ports` is a port number or a port *name of the Service*.
    Envoy Gateway calls the ports `<protocol>-<port>` (`http-443`), not by the names of the
    listeners, and `*` is no wildcard here. One entry that matches nothing stops the controller:
    `Unused port in ssl-ports annotation`, an event on the Service and nowhere else.

    Not a problem without `ssl-cert`: then ssl-ports is not read.

    ```sh
    kubectl get events -A --field-selector reason=FailedBuildModel
    ```

    Source: aws-load-balancer-controller 3, pkg/service; issues 2931 and 3067.

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
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: https
      listeners:
      - {name: http, port: 80, protocol: HTTP}
      - {name: https, port: 443, protocol: HTTP}
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

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Unused port in ssl-ports annotation",)

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Entries that are neither number nor name of a port."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.items("ssl-cert"):
            return
        chosen = found.items("ssl-ports")
        unknown = [entry for entry in chosen if entry not in aws.port_names(found)]
        if not unknown:
            return
        meant = [_meant(entry, found) for entry in chosen]
        value = ",".join(m for m in meant if m is not None)
        fix = found.fix("Name the port by its number", "ssl-ports", value) if all(meant) else None
        ports = ", ".join(f"{port.number} ({port.name})" for port in found.ports)
        yield self.finding(
            found.where("ssl-ports"),
            f"ssl-ports {', '.join(unknown)} is no port of the Service, which has {ports}",
            because=found.because(),
            fix=fix,
            advice="" if fix else f"Choose which of the ports {ports} get TLS",
        )


def _meant(entry: str, found: aws.Balancer) -> str | None:
    """The entry as it would be understood: a listener's name stands for its port."""
    if entry in aws.port_names(found):
        return entry
    for port in found.ports:
        if port.is_tcp and any(listener.name == entry for listener in port.listeners):
            return str(port.number)
    return None
