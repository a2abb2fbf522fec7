"""Settings for one of several plain HTTP listeners of a port."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, gateway_api


class ClientPolicyOnSharedPort(Probe):
    """This ClientTrafficPolicy is refused: its listener shares the port.

    Plain HTTP listeners of one port are one listener in Envoy, told apart only by the Host header,
    which comes too late for settings of the connection. A policy for one of them by `sectionName`
    is refused as a whole. HTTPS listeners are told apart by SNI, so there it is fine.

    Not a problem for a policy of the whole Gateway, or on a port with one HTTP listener.

    ```sh
    kubectl get clienttrafficpolicy NAME -n NAMESPACE -o jsonpath='{.status.ancestors[*].conditions}'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi/clienttrafficpolicy.go.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: a, port: 80, protocol: HTTP, hostname: a.example.com}
      - {name: b, port: 80, protocol: HTTP, hostname: b.example.com}
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: a, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge, sectionName: a}]
      timeout: {http: {idleTimeout: 5s}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.CLIENT_TRAFFIC_POLICY,)
    needs = (kinds.GATEWAY, kinds.LISTENER_SET)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Sections that are HTTP listeners beside others on their port."""
        if envoy_gateway.is_accepted(policy):
            return
        for spot, target in envoy_gateway.target_refs(policy):
            if target.kind not in (kinds.GATEWAY, kinds.LISTENER_SET):
                continue
            owner = cluster.get(target.kind, target.namespace, target.name)
            if owner is None:
                continue
            gateway = gateway_api.gateway_of(owner, cluster)
            if gateway is None or (target.kind == kinds.GATEWAY and not target.section):
                continue
            clear = [
                one for one in gateway_api.all_listeners(gateway, cluster) if one.protocol == "HTTP"
            ]
            own = [
                one
                for one in clear
                if one.owner.ref == owner.ref and target.section in ("", one.name)
            ]
            beside = [o for o in clear for one in own if o.port == one.port and o not in own]
            if own and beside:
                yield self.finding(
                    spot.at("sectionName") if target.section else spot,
                    f"listener {own[0].name} shares port {own[0].port} with listener "
                    f"{', '.join(dict.fromkeys(one.name for one in beside))}, and both are plain HTTP",
                    because=tuple(dict.fromkeys(one.field for one in (*own, *beside))),
                    advice="Make the policy for the whole Gateway, or give the listener a port of "
                    "its own",
                )
