"""The NLB ends TLS, Envoy waits for it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, OutOfView, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, gateway_api


class PlainTextIntoTlsListener(Probe):
    """Every https request fails: the NLB sends clear text to a TLS listener.

    A load balancer with `ssl-cert` ends TLS and sends what is inside to Envoy in clear text. A
    listener with protocol HTTPS or TLS on that port waits for a handshake that never comes. The
    TCP health check stays green. Behind a terminating NLB the listener on 443 has protocol HTTP.

    Not a problem with `aws-load-balancer-backend-protocol: ssl` (exactly this word): then the
    NLB encrypts again; nor on ports that `ssl-ports` leaves out.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.listeners[*].protocol}'
    ```

    Source: aws-load-balancer-controller 3, pkg/service (listener and target group protocol).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: edge, namespace: infra}
    type: kubernetes.io/tls
    data: !cert {dns: [www.example.com]}
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
      listeners:
      - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (*aws.NEEDS, kinds.SECRET)
    symptoms = ("upstream connect error or disconnect/reset", "Empty reply from server")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """TLS listeners on ports where the load balancer ends TLS and does not start it again."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        for port in found.ports:
            encrypted = [one for one in port.listeners if one.protocol in ("HTTPS", "TLS")]
            if not encrypted or not found.ends_tls(port) or found.re_encrypts(port):
                continue
            first = encrypted[0]
            yield self.finding(
                first.field.at("protocol"),
                f"the NLB ends TLS on port {port.number} and sends clear text to listener "
                f"{first.name}, which has protocol {first.protocol}",
                because=(
                    found.where("ssl-cert"),
                    *(other.field.at("protocol") for other in encrypted[1:]),
                ),
                fix=_fix(found, port, cluster),
                advice="" if _fix(found, port, cluster) else _ADVICE,
            )


_ADVICE = (
    "Decide who ends TLS: the NLB alone (listener protocol HTTP, without tls), the NLB and Envoy "
    "(backend-protocol ssl and a certificate), or Envoy alone (this port not among ssl-ports)"
)


def _fix(found: aws.Balancer, port: aws.Port, cluster: Cluster) -> Fix | None:
    """Encrypt again where Envoy could answer that; else let Envoy speak HTTP, as it must be."""
    if all(not one.hostname and _has_certificate(one, cluster) for one in port.listeners):
        fix = found.fix("Let the NLB encrypt to Envoy again", "backend-protocol", "ssl")
        if fix is not None:
            return fix
    if port.name in found.items("ssl-ports"):
        return None  # the port would be called http-<number> then, and ssl-ports match nothing
    listeners = [one for one in port.listeners if one.owner is found.gateway]
    if len(listeners) < len(port.listeners) or any(one.protocol != "HTTPS" for one in listeners):
        return None
    operations: list[dict[str, object]] = []
    for one in listeners:
        operations += [
            {"op": "test", "path": one.field.at("name").pointer, "value": one.name},
            {"op": "replace", "path": one.field.at("protocol").pointer, "value": "HTTP"},
        ]
        if one.field.has("tls"):
            operations.append({"op": "remove", "path": one.field.at("tls").pointer})
    command = aws.patch_command(found.gateway, *operations)
    return Fix("Let Envoy speak HTTP here", commands=(command,), needs_review=True)


def _has_certificate(listener: gateway_api.Listener, cluster: Cluster) -> bool:
    """Whether Envoy could end TLS here: a Secret of the Gateway's namespace that is there."""
    namespace = listener.owner.namespace
    names = [
        reference.text("name")
        for reference in listener.field.each("tls", "certificateRefs")
        if (reference.text("namespace") or namespace) == namespace
    ]
    try:
        found = [cluster.get(kinds.SECRET, namespace, name) for name in names]
    except OutOfView:
        return False
    return bool(found) and all(secret is not None for secret in found)
