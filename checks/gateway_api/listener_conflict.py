"""Two listeners that want one port."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Severity, Skip, kinds
from gwdoctor.resolve import gateway_api, listener_conflicts


class ListenerConflict(Probe):
    """The listener is not served: another one has its port.

    On one port there is either HTTP, or HTTPS and TLS with different host names, or a single
    TCP listener; UDP lives beside them. Within one Gateway both sides are refused; a ListenerSet
    loses against its Gateway and against older ListenerSets. The API server looks only for exact
    doubles within one object.

    Not a problem for equal ports of different Gateways, each of which has its own address,
    unless Envoy Gateway merges them (`mergeGateways`).

    ```sh
    kubectl get gateways,listenersets -A -o json | jq '.items[].status.listeners'
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go and conformance listenerset-protocol-conflict.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: web, port: 443, protocol: HTTP}
      - {name: secure, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    needs = (kinds.GATEWAY_CLASS, kinds.ENVOY_PROXY, kinds.NAMESPACE)
    symptoms = (
        "ProtocolConflict",
        "HostnameConflict",
        "Connection refused",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Every listener that loses."""
        for conflict in listener_conflicts.conflicts(cluster):
            loser, winner = conflict.loser, conflict.winner
            if gateway_api.is_accepted(loser, "Accepted"):
                continue
            what = f"{winner.protocol} listener {winner.name}"
            if winner.owner is not loser.owner:
                what += f" of {winner.owner.ref}"
            why = f" for {loser.hostname or 'all names'}"
            yield self.finding(
                loser.field,
                f"listener {loser.name} ({loser.protocol}) shares port {loser.port}"
                f"{why if conflict.reason == 'HostnameConflict' else ''} with {what}",
                because=(winner.field,),
                advice="Give each protocol its port and each listener of a port its host name",
            )
