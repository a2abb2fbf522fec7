"""Port 443, and nobody who ends TLS."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws


class HttpsPortInClearText(Probe):
    """https:// fails: neither the NLB nor Envoy speaks TLS on port 443.

    A listener with `protocol: HTTP` on port 443 is right when the load balancer ends TLS there.
    That takes `aws-load-balancer-ssl-cert`, and 443 among `aws-load-balancer-ssl-ports` where
    that is given; `ssl-ports` without a certificate is ignored without a word.

    Not a problem where the listener's protocol is HTTPS: then Envoy ends TLS itself.

    ```sh
    curl -sv https://HOST/ 2>&1 | grep -i 'wrong version number'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, ssl-cert, ssl-ports.

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
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: "8443"
      listeners:
      - {name: admin, port: 8443, protocol: HTTP}
      - {name: https, port: 443, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-ssl-ports: 8443,443
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = aws.NEEDS
    symptoms = (
        "wrong version number",
        "ERR_SSL_PROTOCOL_ERROR",
        "tls: first record does not look like a TLS handshake",
        "http: server gave HTTP response to HTTPS client",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An HTTP listener on 443 that the load balancer passes through."""
        found = aws.balancer(gateway, cluster)
        if found is None or not any(map(aws.is_aws_key, found.annotations)):
            return  # nothing arrives: aws/annotations-on-gateway-metadata tells why
        if gateway.has("metadata", "annotations", aws.PREFIX + "ssl-cert") and not found.has(
            "ssl-cert"
        ):
            return
        chosen = found.items("ssl-ports")
        if any(entry not in aws.port_names(found) for entry in chosen) and found.has("ssl-cert"):
            return  # aws/ssl-port-not-on-service: the load balancer is not built at all
        for port in found.ports:
            clear = [one for one in port.listeners if one.protocol == "HTTP"]
            if port.number != 443 or not clear or found.ends_tls(port):
                continue
            fix = None
            if found.items("ssl-cert"):
                why = f"ssl-ports is {','.join(chosen)}"
                ports = ",".join([*chosen, str(port.number)])
                fix = found.fix("End TLS on this port too", "ssl-ports", ports)
            else:
                why = "the NLB has no ssl-cert"
            yield self.finding(
                clear[0].field.at("protocol"),
                f"listener {clear[0].name} speaks clear text on port 443 and {why}",
                because=(found.where("ssl-ports"),) if chosen else (),
                fix=fix,
                advice=""
                if fix
                else "Decide who ends TLS: the NLB (aws-load-balancer-ssl-cert with the ARN of a "
                "certificate, and ssl-ports) or Envoy (protocol HTTPS and certificateRefs)",
            )
