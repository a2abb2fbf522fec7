"""The NLB encrypts to Envoy, which listens in clear text."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class TlsIntoPlainTextListener(Probe):
    """Every https request fails: the NLB sends TLS to an HTTP listener.

    `aws-load-balancer-backend-protocol: ssl` makes the load balancer open a new TLS connection
    to Envoy after it ended the client's. A listener with protocol HTTP answers that handshake
    with 400 Bad Request and closes.

    Not a problem where the listener has protocol HTTPS and a certificate of its own.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.listeners[*].protocol}'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, backend-protocol.

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
          service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl
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

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("400 Bad Request", "Empty reply from server")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """HTTP listeners on ports where the load balancer encrypts again."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        clear = [
            one
            for port in found.ports
            if found.re_encrypts(port)
            for one in port.listeners
            if one.protocol == "HTTP"
        ]
        if not clear:
            return
        names = ", ".join(f"{one.name} ({one.port})" for one in clear)
        mixed = any(
            one.protocol in ("HTTPS", "TLS")
            for port in found.ports
            if found.re_encrypts(port)
            for one in port.listeners
        )
        fix = None if mixed else found.fix("Send clear text to Envoy", "backend-protocol", "tcp")
        yield self.finding(
            found.where("backend-protocol"),
            f"backend-protocol ssl sends TLS to the HTTP listener {names}",
            because=found.because(*(one.field.at("protocol") for one in clear)),
            fix=fix,
            advice=""
            if fix
            else "backend-protocol holds for every TLS port: give all their listeners protocol "
            "HTTPS, or none",
        )
