"""The NLB sends a PROXY header, Envoy takes it for a request."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway
from gwdoctor.resolve.gateway_api import GROUP, Listener


class ProxyProtocolOnlyAtNlb(Probe):
    """Every request fails: Envoy does not expect the NLB's PROXY header.

    With PROXY protocol on, each connection of the load balancer starts with a binary header. An
    Envoy listener reads it only if a ClientTrafficPolicy with `proxyProtocol` is in force there;
    else the header counts as a broken request (400) or a broken handshake (reset). One with a
    `sectionName` replaces the Gateway's policy for that listener, this setting included.

    Not a problem where the policy in force has `proxyProtocol`, optional or not.

    ```sh
    kubectl get clienttrafficpolicies -A -o yaml | grep -i proxyprotocol
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md; Envoy Gateway 1.9
    ClientTrafficPolicy API; Envoy Gateway issues 3188 and 3163.

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
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
          service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: "*"
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: edge-proxy-protocol, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      proxyProtocol: {optional: false}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (*aws.NEEDS, kinds.CLIENT_TRAFFIC_POLICY)
    symptoms = ("400 Bad Request", "Connection reset by peer")

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """TCP ports with the header, and listeners there that do not read it."""
        found = aws.balancer(gateway, cluster)
        if found is None:
            return
        deaf: list[tuple[Listener, Resource | None]] = []
        for port in found.ports:
            if not port.is_tcp or not found.sends_proxy_protocol(port):
                continue
            for one in port.listeners:
                policy = envoy_gateway.client_policy(one, gateway, cluster)
                if not envoy_gateway.reads_proxy_protocol(policy):
                    deaf.append((one, policy))
        if not deaf:
            return
        policies = {policy.ref: policy for _, policy in deaf if policy is not None}
        changes = [
            p.changed("spec", "proxyProtocol", to={"optional": False}) for p in policies.values()
        ]
        if any(policy is None for _, policy in deaf):
            changes.append(_policy(gateway, cluster))
        yield self.finding(
            found.proxy_protocol_field,
            "the NLB starts connections with a PROXY header, which listener "
            f"{', '.join(one.name for one, _ in deaf)} does not read",
            because=found.because(*policies.values(), *(one.field for one, _ in deaf)),
            fix=Fix("Let Envoy read the PROXY header", tuple(changes), needs_review=True),
        )


def _policy(gateway: Resource, cluster: Cluster) -> Change:
    return Change.created(
        {
            "apiVersion": cluster.api_version(kinds.CLIENT_TRAFFIC_POLICY),
            "kind": "ClientTrafficPolicy",
            "metadata": {"name": f"{gateway.name}-proxy-protocol", "namespace": gateway.namespace},
            "spec": {
                "targetRefs": [{"group": GROUP, "kind": "Gateway", "name": gateway.name}],
                "proxyProtocol": {"optional": False},
            },
        }
    )
