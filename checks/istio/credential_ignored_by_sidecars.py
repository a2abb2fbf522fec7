"""credentialName in a DestinationRule that sidecars use."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_routes, istio_rules


class CredentialIgnoredBySidecars(Probe):
    """Sidecars send plaintext where a DestinationRule asks for TLS.

    `credentialName` is for gateways. A sidecar gets no credential from a DestinationRule without
    `workloadSelector`, and then no TLS at all: mode SIMPLE or MUTUAL with a credentialName
    leaves its connections in plaintext, without a warning.

    Not a problem with a `workloadSelector`, or where only gateways see the DestinationRule.
    Where a gateway's route leads to the host it may be meant for that alone: then this is told
    as possible.

    ```sh
    istioctl proxy-config cluster POD -n NAMESPACE --fqdn HOST -o json | grep -A3 transportSocket
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS), run in its xDS simulator;
    istio/istio#31738.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: pay, namespace: shop}
    spec:
      host: pay.example.com
      trafficPolicy: {tls: {mode: MUTUAL, credentialName: pay-client}}
    ---
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: pay, namespace: shop}
    spec: {hosts: [pay.example.com], ports: [{number: 80, name: http, protocol: HTTP}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.POD, kinds.VIRTUAL_SERVICE, kinds.CONFIG_MAP)
    symptoms = (
        "The plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server",
    )

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each block with a credential that sidecars will read without it."""
        blocks = [
            block
            for block in istio_rules.tls_blocks(rule)
            if block.text("mode") in ("SIMPLE", "MUTUAL") and block.text("credentialName")
        ]
        if not blocks or rule.has("spec", "workloadSelector"):
            return
        homes = cluster.derive(_sidecar_namespaces)
        seen_in = {rule.namespace, *istio_mesh.exports(rule, cluster)}
        users = homes if "*" in seen_in else homes & seen_in
        if not users:
            return
        host = istio_rules.host_of(rule, cluster)
        for_gateway = host in cluster.derive(_hosts_routed_at_gateways)
        for block in blocks:
            yield self.finding(
                block.at("credentialName"),
                f"sidecars (namespace {', '.join(sorted(users)[:3])}) ignore credentialName "
                f"{block.text('credentialName')} and with it tls mode {block.text('mode')}: what "
                f"they send to {host} is plaintext",
                severity=Severity.MEDIUM if for_gateway else None,
                confidence=Confidence.POSSIBLE if for_gateway else None,
                advice="Add a workloadSelector for the Pods that are to use it (their namespace "
                "must hold the Secret), or export the DestinationRule to the gateway's namespace "
                "only",
            )


def _sidecar_namespaces(cluster: Cluster) -> frozenset[str]:
    return frozenset(
        pod.namespace
        for pod in cluster[kinds.POD]
        if istio_mesh.has_sidecar(pod) and not istio_mesh.is_gateway(pod)
    )


def _hosts_routed_at_gateways(cluster: Cluster) -> frozenset[str]:
    return frozenset(
        istio_routes.full_host(destination, cluster)
        for owner in cluster[kinds.VIRTUAL_SERVICE]
        if set(owner.texts("spec", "gateways")) - {"mesh"}
        for destination in istio_routes.destinations(owner)
    )
