"""A port that the sidecar does not take, and that clients send mTLS to."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules, services

_KEY = "traffic.sidecar.istio.io/excludeInboundPorts"


class InboundPortExcluded(Probe):
    """Clients in the mesh send mTLS to a port that bypasses the sidecar.

    `traffic.sidecar.istio.io/excludeInboundPorts` lets connections to a port go straight to the
    application. Clients do not know of it: they see a Pod with a sidecar, and auto mTLS sends
    the application a TLS handshake that it cannot read.

    Not a problem where only callers outside the mesh (the API server, a kubelet, a Prometheus
    without sidecar) use the port, which cannot be seen; where PeerAuthentication is DISABLE for
    the container port; or where a DestinationRule says which TLS to use.

    ```sh
    kubectl get pods -A -o yaml | grep -n excludeInboundPorts
    ```

    Source: istio/istio#30311; istio 1.32 pilot/pkg/xds/endpoints (mTLS of endpoints).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: orders, namespace: shop}
    spec: {selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: orders-1
      namespace: shop
      labels: {app: orders, security.istio.io/tlsMode: istio}
      annotations: {traffic.sidecar.istio.io/excludeInboundPorts: "8080"}
    ```

    ```yaml fixed
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: orders-outside-the-mesh, namespace: shop}
    spec:
      selector: {matchLabels: {app: orders}}
      portLevelMtls: {"8080": {mode: DISABLE}}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.POSSIBLE
    subjects = (kinds.SERVICE,)
    needs = (
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.DESTINATION_RULE,
        kinds.CONFIG_MAP,
    )
    symptoms = ("upstream connect error or disconnect/reset before headers",)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A port of the Service whose container port some Pod excludes."""
        if service.namespace not in cluster.derive(_namespaces):
            return
        excluding = [pod for pod in services.pods(cluster, service) if _excludes(pod)]
        if not excluding or not istio_mesh.mesh(cluster).auto_mtls:
            return
        for port in service.each("spec", "ports"):
            target = istio_mtls.target_port(cluster, service, port)
            pod = next((p for p in excluding if str(target) in _numbers(p)), None)
            if target is None or pod is None or _has_own_tls(service, port, cluster):
                continue
            labels = pod.own_labels
            if istio_mtls.mode_of(cluster, pod.namespace, labels, target).name == "DISABLE":
                continue
            changes = istio_mtls.exceptions(cluster, [(service, target, "DISABLE")])
            yield self.finding(
                port,
                f"container port {target} bypasses the sidecar of Pod {pod.name}, and clients in "
                f"the mesh send mTLS to port {port.number('port')}",
                because=(pod.at("metadata", "annotations", _KEY),),
                fix=Fix("Tell clients that this port has no mTLS", changes, needs_review=True)
                if changes
                else None,
                advice="Take the port out of the annotation, or set it to DISABLE for the workload",
            )


def _excludes(pod: Resource) -> bool:
    return bool(pod.annotation(_KEY)) and istio_mesh.has_sidecar(pod)


def _namespaces(cluster: Cluster) -> frozenset[str]:
    return frozenset(pod.namespace for pod in cluster[kinds.POD] if _excludes(pod))


def _numbers(pod: Resource) -> set[str]:
    return {part.strip() for part in pod.annotation(_KEY).split(",")}


def _has_own_tls(service: Resource, port: Field, cluster: Cluster) -> bool:
    host = istio_mesh.host_of(service, cluster)
    rules = istio_rules.selected(cluster, istio_rules.ANYWHERE, host, service.namespace)
    return any(any(istio_rules.client_tls(rule, port.number("port"))) for rule in rules)
