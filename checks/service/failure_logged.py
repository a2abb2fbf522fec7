"""What the logs of proxies and controllers say, where nothing that is declared explains it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Severity, Skip, kinds
from gwdoctor.evidence import said
from gwdoctor.resolve import istio_gateways


class FailureLogged(Probe):
    """A proxy or a controller of the entry logs that something fails.

    `gwdoctor scan --logs` reads the last minutes of the logs of gateways, of Kong and its
    controller, of cert-manager, and of the sidecars of workloads that findings name. Lines whose
    meaning is known are tied to the route, Service or Pods that they concern: connections that a
    sidecar closes because they are no mTLS (`NR filter_chain_not_found`), requests that leave
    the mesh (`PassthroughCluster`), requests on the connection of another host (`NR
    route_not_found` with another SNI), failing TLS handshakes, what Kong cannot push, what an
    authority refuses. Where another check finds the cause in what is declared, the line is quoted
    there as evidence; here stands what none explains.

    Not a problem where the line is older than what mended it; where a reset (`104`) has another
    reason than TLS, such as a restart; where whoever is refused is to be refused. Lines about
    addresses and hosts that are not of this cluster are passed over.

    Check it yourself:

    ```sh
    kubectl logs -n NAMESPACE POD -c CONTAINER --since=15m | grep -E 'NR|PassthroughCluster|failed'
    ```

    Source: Kong 3.9 (nginx src/http/ngx_http_upstream.c), Envoy 1.40 (response flags), istio/istio
    1.32 pilot/pkg/model/log.go, cert-manager 1.21 pkg/controller; gwdoctor/evidence/signatures.py.

    ```yaml bad
    apiVersion: gwdoctor/v1
    kind: PodLog
    metadata: {name: kong-1, namespace: kong}
    containers:
    - name: proxy
      lines:
      - text: '2026/11/21 11:59:00 [error] 1#0: *9 upstream SSL certificate does not match
          "minio.example.com" while SSL handshaking to upstream, client: 10.0.0.5, server: kong,
          request: "GET /a HTTP/2.0", upstream: "https://10.0.0.20:9000/a", host: "s3.example.com"'
        count: 3
        last: "2026-11-21T11:59:00Z"
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: minio, namespace: storage, annotations: {konghq.com/protocol: https}}
    spec: {ports: [{name: api, port: 9000}]}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: minio-1, namespace: storage, labels: {kubernetes.io/service-name: minio}}
    addressType: IPv4
    ports: [{name: api, port: 9000}]
    endpoints: [{addresses: [10.0.0.20]}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.LIKELY
    subjects = (kinds.POD_LOG,)
    needs = (
        *istio_gateways.GATEWAYS,
        *istio_gateways.READS,
        kinds.ENDPOINT_SLICE,
        kinds.INGRESS,
        kinds.HTTP_ROUTE,
        kinds.GRPC_ROUTE,
    )
    symptoms = (
        "upstream SSL certificate does not match",
        "upstream SSL certificate verify error",
        "failure to get a peer from the ring-balancer",
        "NR filter_chain_not_found",
        "TLS_error",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """One finding an object and meaning."""
        groups: dict[tuple[Field, str], list[said.Saying]] = {}
        for saying in said.sayings(cluster):
            groups.setdefault((saying.spot, saying.signature.name), []).append(saying)
        for (spot, name), together in groups.items():
            together.sort(key=lambda one: (-one.evidence.count, one.evidence.ref, one.consequence))
            signature, first = together[0].signature, together[0]
            yield self.finding(
                spot,
                first.consequence,
                root=cluster.find(spot.ref),
                severity=signature.severity,
                confidence=signature.confidence,
                evidence=tuple(dict.fromkeys(one.evidence for one in together)),
                proves=signature.proves,
                concerns=tuple(dict.fromkeys(ref for one in together for ref in one.concerns)),
                alone=signature.alone,
                marker=name,
                advice=signature.advice,
            )
