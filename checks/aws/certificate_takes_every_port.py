"""ssl-cert without ssl-ports, and a port for plain http."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class CertificateTakesEveryPort(Probe):
    """Plain http:// fails: the NLB expects TLS on port 80 too.

    `aws-load-balancer-ssl-cert` without `aws-load-balancer-ssl-ports` makes *every* TCP port of
    the Service a TLS listener, the one for plain HTTP and its redirect included. Browsers that
    ask for http:// are answered with a reset.

    Not a problem where the Service has one TCP port, or none that is meant for clear text.

    ```sh
    curl -sv http://HOST/ 2>&1 | tail -3
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, ssl-ports.

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

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("Empty reply from server", "Connection reset by peer")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A clear-text port among several, all of which got the certificate."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.items("ssl-cert") or found.items("ssl-ports"):
            return
        tcp = [port for port in found.ports if port.is_tcp]
        clear = [port for port in tcp if port.number == 80 and _speaks_http(port)]
        others = [port for port in tcp if port not in clear]
        if not clear or not others:
            return
        ports = ",".join(str(port.number) for port in others)
        fix = found.fix("Name the ports that get TLS", "ssl-ports", ports)
        yield self.finding(
            found.where("ssl-cert"),
            "ssl-cert without ssl-ports makes the NLB expect TLS on port 80 as well",
            because=found.because(*(one.field for port in clear for one in port.listeners)),
            fix=fix,
            advice="" if fix else "Name the TLS ports in aws-load-balancer-ssl-ports",
        )


def _speaks_http(port: aws.Port) -> bool:
    return all(listener.protocol == "HTTP" for listener in port.listeners)
