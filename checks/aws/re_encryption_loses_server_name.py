"""A listener chosen by a name that the NLB does not send."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class ReEncryptionLosesServerName(Probe):
    """Connections are reset: the NLB does not send the client's server name.

    With `backend-protocol: ssl` the load balancer ends TLS and opens a connection of its own to
    Envoy, without the SNI of the client. Envoy picks an HTTPS listener with a `hostname` by
    exactly that name, finds none and closes.

    Not a problem for a listener without `hostname`: it takes every connection.

    ```sh
    kubectl logs -n envoy-gateway-system deploy/ENVOY | grep filter_chain_not_found
    ```

    Source: Envoy Gateway issue 4520 (the same behind an ALB); not verified against AWS, hence
    "possible".

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
          service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl
      listeners:
      - name: https
        port: 443
        protocol: HTTPS
        hostname: www.example.com
        tls: {certificateRefs: [{name: www}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.POSSIBLE
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = ("filter_chain_not_found", "Connection reset by peer")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """TLS listeners with a hostname where no listener of the port takes the rest."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        for port in found.ports:
            encrypted = [one for one in port.listeners if one.protocol in ("HTTPS", "TLS")]
            if not found.re_encrypts(port) or not encrypted:
                continue
            if not all(one.hostname for one in encrypted):
                continue
            first = encrypted[0]
            fix = None
            if len(encrypted) == 1:
                command = aws.patch_command(
                    first.owner,
                    {"op": "test", "path": first.field.at("name").pointer, "value": first.name},
                    {"op": "remove", "path": first.field.at("hostname").pointer},
                )
                fix = Fix("Take every name", commands=(command,), needs_review=True)
            yield self.finding(
                first.field.at("hostname"),
                f"listener {first.name} is chosen by SNI, and the NLB encrypts to port "
                f"{port.number} without one",
                because=(
                    found.where("backend-protocol"),
                    *(other.field.at("hostname") for other in encrypted[1:]),
                ),
                fix=fix,
                advice=""
                if fix
                else "Have one listener without hostname on this port and tell the names apart in "
                "the routes, or let Envoy alone end TLS",
            )
