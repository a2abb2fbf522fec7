"""One Pod without a sidecar behind a headless Service takes mTLS from all."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules, services


class HeadlessServicePartlyInMesh(Probe):
    """Clients send plaintext to Pods that demand mTLS, because of a sibling.

    For a Service with an address, auto mTLS decides for each endpoint. For a headless one it
    decides once: a single Pod without a sidecar makes clients send plaintext to all of them,
    and those in mode STRICT refuse it.

    Not a problem where all Pods have a sidecar, or none, or where a DestinationRule decides.

    ```sh
    kubectl get pods -n NAMESPACE -l SELECTOR -L security.istio.io/tlsMode
    ```

    Source: istio 1.32 pilot/pkg/networking/core (auto mTLS of passthrough clusters).

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: shop}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: db-0
      namespace: shop
      labels: {app: db, security.istio.io/tlsMode: istio}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db-1, namespace: shop, labels: {app: db}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.SERVICE,)
    needs = (
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.DESTINATION_RULE,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "filter_chain_not_found",
        "connection reset by peer",
        "NR filter_chain_not_found",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A headless Service with Pods of both sorts and a port in mode STRICT."""
        if service.text("spec", "clusterIP") != "None":
            return
        host = istio_mesh.host_of(service, cluster)
        for port in service.each("spec", "ports"):
            receiver = istio_mtls.receiver(cluster, service, port)
            strict = receiver.mode("STRICT") if receiver is not None else None
            if receiver is None or strict is None or receiver.membership != "some":
                continue
            rules = istio_rules.selected(cluster, istio_rules.ANYWHERE, host, service.namespace)
            if any(any(istio_rules.client_tls(rule, port.number("port"))) for rule in rules):
                continue
            pods = services.pods(cluster, service)
            bare = [pod for pod in pods if not istio_mesh.has_sidecar(pod)]
            yield self.finding(
                service.at("spec", "clusterIP"),
                f"Pod {bare[0].name} has no sidecar, so clients send plaintext to all "
                f"{len(pods)} Pods, and {len(pods) - len(bare)} of them take only mTLS",
                because=(bare[0], *((strict.field,) if strict.field is not None else ())),
                advice="Give all Pods of the Service a sidecar (restart those that were made "
                "before injection was on), or none",
            )
            return
