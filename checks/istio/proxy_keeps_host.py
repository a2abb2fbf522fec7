"""Document 001: an injected reverse proxy that keeps the Host of its client."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import host_keeping_proxies, istio_mesh, istio_mtls, services


class ProxyKeepsHost(Probe):
    """A proxy in the mesh keeps its client's Host and loses its upstream.

    The proxy dials its upstream, but asks it for the Host that it was itself asked for. For a
    port declared as HTTP the proxy's sidecar routes by Host alone: no service on the upstream's
    port has that name, so the request goes to PassthroughCluster in plaintext, without the
    mesh certificate, and the upstream's sidecar in mode STRICT closes it. A port declared as
    `tcp` (or not at all) is routed by address, with mTLS; what is lost are routes and policies
    that look into HTTP. The annotation `networking.istio.io/service-protocol`, which is often
    recommended here, does not exist.

    Not a problem where the proxy has no sidecar of its own and the upstream is PERMISSIVE, or
    where the proxy rewrites the Host (oauth2-proxy: `--pass-host-header=false`).

    ```sh
    kubectl logs -n NAMESPACE PROXY_POD -c istio-proxy | grep PassthroughCluster
    ```

    Source: istio 1.32 pilot/pkg/networking/core (outbound listeners), run in its xDS
    simulator; istio/istio#24668, #51482.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: istio-system}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: prometheus, namespace: monitoring}
    spec: {selector: {app: prometheus}, ports: [{name: http-web, port: 9090}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: prometheus-0
      namespace: monitoring
      labels: {app: prometheus, security.istio.io/tlsMode: istio}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: prom-label-proxy-1
      namespace: monitoring
      labels: {app: prom-label-proxy, security.istio.io/tlsMode: istio}
    spec:
      containers:
      - name: proxy
        image: quay.io/prometheuscommunity/prom-label-proxy:v0.11.0
        args: [--label=namespace, "--upstream=http://prometheus.monitoring.svc.cluster.local:9090"]
    ```

    ```yaml fixed
    spec:
      ports: [{name: http-web, port: 9090, appProtocol: tcp}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.SERVICE,)
    needs = (
        kinds.POD_WHOLE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "filter_chain_not_found",
        "PassthroughCluster",
        "NR filter_chain_not_found",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An HTTP port in mode STRICT that such a proxy calls."""
        callers = host_keeping_proxies.callers(service, cluster)
        for number, argument in callers.items():
            port = services.port(service, number)
            if port is None or istio_mesh.protocol(port) not in istio_mesh.HTTP:
                continue
            receiver = istio_mtls.receiver(cluster, service, port)
            strict = receiver.mode("STRICT") if receiver is not None else None
            meshed = receiver is not None and receiver.membership in ("all", "some")
            if not (istio_mesh.mesh(cluster).registry_only or (meshed and strict is not None)):
                continue
            change = service.changed(*port.path, "appProtocol", to="tcp")
            yield self.finding(
                port,
                f"port {number} is declared as HTTP ({istio_mesh.declaration(port)}), so the "
                f"sidecar of Pod {argument.ref.name} routes by Host, and the proxy in it sends "
                "its client's Host: the request leaves the mesh in plaintext and is closed",
                because=(
                    argument,
                    *((strict.field,) if strict is not None and strict.field is not None else ()),
                ),
                fix=Fix(
                    "Route this port by address: routes and policies that look into HTTP no "
                    "longer hold for it",
                    (change,),
                    needs_review=True,
                ),
            )
