"""Rules by client address behind a load balancer that hides it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway, gateway_api
from gwdoctor.resolve.gateway_api import Listener


class ClientAddressLost(Probe):
    """Rules by client address see the load balancer instead of the client.

    With `ip` targets an NLB replaces the client's address by its own unless told otherwise;
    with instance targets it keeps it. Allow lists then shut everybody out, deny lists let everybody
    in, and a rate limit by address counts all clients as one.

    Not a problem with PROXY protocol on both sides, with `preserve_client_ip.enabled=true`, or
    where a ClientTrafficPolicy takes the address from a header (`clientIPDetection`).

    ```sh
    kubectl get service -A -l gateway.envoyproxy.io/owning-gateway-name=edge \\
      -o yaml | grep -E 'preserve_client_ip|proxy-protocol'
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md,
    target-group-attributes.

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
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: SecurityPolicy
    metadata: {name: office, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      authorization:
        defaultAction: Deny
        rules:
        - {action: Allow, principal: {clientCIDRs: [192.0.2.0/24]}}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: preserve_client_ip.enabled=true
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SECURITY_POLICY, kinds.BACKEND_TRAFFIC_POLICY)
    needs = (
        kinds.GATEWAY,
        *aws.NEEDS,
        kinds.CLIENT_TRAFFIC_POLICY,
        kinds.HTTP_ROUTE,
        kinds.NAMESPACE,
    )
    symptoms = ("RBAC: access denied", "429 Too Many Requests")

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The first rule by address of a policy whose listeners do not see addresses."""
        rule = next(_by_address(policy), None)
        if rule is None:
            return
        for listener in _listeners(policy, cluster):
            gateway = gateway_api.gateway_of(listener.owner, cluster)
            found = aws.balancer(gateway, cluster) if gateway is not None else None
            port = aws.port_of(found, listener) if found is not None else None
            if gateway is None or found is None or port is None or _keeps_address(found, port):
                continue
            client = envoy_gateway.client_policy(listener, gateway, cluster)
            if client is not None and client.has("spec", "clientIPDetection"):
                continue
            attributes = found.attributes() | {"preserve_client_ip.enabled": "true"}
            value = ",".join(f"{key}={value}" for key, value in attributes.items())
            fix = found.fix("Keep the address of clients", "target-group-attributes", value)
            yield self.finding(
                rule,
                f"the NLB in front of listener {listener.name} puts its own address in the place "
                "of the client's",
                because=(gateway, found.where("nlb-target-type")),
                fix=fix,
                advice=""
                if fix
                else "Set preserve_client_ip.enabled=true in "
                "aws-load-balancer-target-group-attributes, or use PROXY protocol",
            )
            return


def _keeps_address(found: aws.Balancer, port: aws.Port) -> bool:
    preserved = found.attributes().get("preserve_client_ip.enabled")
    return (
        not found.is_claimed
        or not port.is_tcp
        or found.sends_proxy_protocol(port)
        or preserved == "true"
        or (found.target_type == "instance" and preserved != "false")
    )


def _by_address(policy: Resource) -> Iterator[Field]:
    for rule in policy.each("spec", "authorization", "rules"):
        if any(rule.each("principal", "clientCIDRs")):
            yield rule.at("principal", "clientCIDRs")
    for sort in ("local", "global"):
        for rule in policy.each("spec", "rateLimit", sort, "rules"):
            for selector in rule.each("clientSelectors"):
                if selector.has("sourceCIDR"):
                    yield selector.at("sourceCIDR")


def _listeners(policy: Resource, cluster: Cluster) -> Iterator[Listener]:
    """The listeners whose requests a policy judges."""
    for _, target in envoy_gateway.target_refs(policy):
        if target.kind == kinds.GATEWAY:
            gateway = cluster.get(kinds.GATEWAY, target.namespace, target.name)
            if gateway is not None:
                yield from gateway_api.all_listeners(gateway, cluster)
        elif target.kind == kinds.HTTP_ROUTE:
            route = cluster.get(kinds.HTTP_ROUTE, target.namespace, target.name)
            for parent in gateway_api.parents(route, cluster) if route is not None else ():
                yield from parent.attached
