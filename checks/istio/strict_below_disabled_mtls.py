"""STRICT for a workload in a namespace whose mTLS is off."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules


class StrictBelowDisabledMtls(Probe):
    """A workload demands mTLS, and its namespace tells clients not to use it.

    Clients build their mTLS settings for a Service from the PeerAuthentication of the namespace
    or mesh. Where that says DISABLE, all of them send plaintext, also to the workload or port
    that a narrower PeerAuthentication has put to STRICT, and its sidecar closes the connection.

    Not a problem where a DestinationRule tells the clients ISTIO_MUTUAL for that Service.

    ```sh
    istioctl x describe service SERVICE -n NAMESPACE
    ```

    Source: istio 1.32 pilot/pkg/model/authentication.go, run in its xDS simulator; #56084.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: shop}
    spec: {mtls: {mode: DISABLE}}
    ---
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: payment, namespace: shop}
    spec:
      selector: {matchLabels: {app: payment}}
      mtls: {mode: STRICT}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: payment, namespace: shop}
    spec: {selector: {app: payment}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: payment-1
      namespace: shop
      labels: {app: payment, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    metadata: {name: default}
    spec: {mtls: {mode: PERMISSIVE}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.PEER_AUTHENTICATION,)
    needs = (
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.DESTINATION_RULE,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "upstream connect error or disconnect/reset before headers",
        "NR filter_chain_not_found",
    )

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A STRICT workload or port whose clients are told to send plaintext."""
        if not istio_mtls.selector(policy) or not any(_strict(policy)):
            return
        above = istio_mtls.wide_mode(cluster, policy.namespace)
        if above.name != "DISABLE" or above.field is None:
            return
        for labels in istio_mtls.reached(cluster, policy):
            if istio_mtls.narrow_policy(cluster, policy.namespace, labels) != policy:
                continue
            for service in istio_mtls.selecting(cluster, policy.namespace, labels):
                for port in service.each("spec", "ports"):
                    target = istio_mtls.target_port(cluster, service, port)
                    mode = istio_mtls.mode_of(cluster, policy.namespace, labels, target)
                    if mode.name != "STRICT" or mode.field is None:
                        continue
                    if not _told_mutual(service, port, cluster):
                        yield self._finding(mode.field, above.field, service, port, cluster)
                        return

    def _finding(
        self, strict: Field, off: Field, service: Resource, port: Field, cluster: Cluster
    ) -> Finding:
        wide = cluster.find(off.ref)
        changes: tuple[Change, ...] = ()
        if wide is not None:
            changes = (wide.changed(*off.path, to="PERMISSIVE"),)
        return self.finding(
            strict,
            f"port {port.number('port')} of Service {service.name} takes only mTLS, and "
            f"PeerAuthentication {off.ref.name} makes every client send plaintext",
            because=(off, port),
            fix=Fix("Let clients use mTLS in this namespace", changes, needs_review=True),
        )


def _strict(policy: Resource) -> Iterator[bool]:
    yield policy.text("spec", "mtls", "mode") == "STRICT"
    for _, entry in policy.entries("spec", "portLevelMtls"):
        yield entry.text("mode") == "STRICT"


def _told_mutual(service: Resource, port: Field, cluster: Cluster) -> bool:
    host = istio_mesh.host_of(service, cluster)
    return any(
        tls.mode == "ISTIO_MUTUAL" and not tls.subset
        for rule in istio_rules.selected(cluster, istio_rules.ANYWHERE, host, service.namespace)
        for tls in istio_rules.client_tls(rule, port.number("port"))
    )
