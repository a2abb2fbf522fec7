"""An ingress controller without a sidecar in front of workloads that demand mTLS."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, OutOfView, Probe, Severity, Skip, kinds
from gwdoctor.resolve import istio_mtls, outside_callers


class PlaintextIngressIntoStrictMtls(Probe):
    """The ingress controller is not in the mesh, and its backends demand mTLS.

    A sidecar in mode STRICT takes connections with a mesh certificate only. The Pods of this
    controller have no sidecar, so what it sends is closed unread (`filter_chain_not_found` in
    the backend's istio-proxy log) and the client gets a 502. Whether the controller speaks HTTP
    or HTTPS to the backend makes no difference: a TLS of its own is not the mesh's.

    Not a problem where the controller's Pods have a sidecar, where the backend's have none, or
    where a `portLevelMtls` entry makes the container port PERMISSIVE.

    ```sh
    kubectl get pods -A -L security.istio.io/tlsMode | grep -i -E 'ingress|kong|traefik|envoy'
    ```

    Source: istio 1.32 pilot/pkg/networking/core (inbound filter chains), run in its xDS
    simulator.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: istio-system}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      rules:
      - host: shop.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: ingress-nginx-controller-1
      namespace: ingress-nginx
      labels: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}
    ```

    ```yaml fixed
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: web-outside-the-mesh, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      portLevelMtls: {"8080": {mode: PERMISSIVE}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS, kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
    needs = (
        kinds.INGRESS_CLASS,
        kinds.GATEWAY,
        kinds.GATEWAY_CLASS,
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "502 Bad Gateway",
        "recv() failed (104: Connection reset by peer) while reading response header",
        "An invalid response was received from the upstream server",
        "filter_chain_not_found",
        "NR filter_chain_not_found",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """One finding for each controller and PeerAuthentication, with all that suffers."""
        causes: dict[tuple[str, Field], list[tuple[outside_callers.Call, int | None]]] = {}
        for kind in self.subjects:
            try:
                routes = cluster[kind]
            except OutOfView as hidden:
                yield self.skip(hidden)
                continue
            for route in routes:
                try:
                    for call in outside_callers.calls(route, cluster):
                        receiver = istio_mtls.receiver(cluster, call.service, call.port)
                        if not call.caller.is_outside or receiver is None:
                            continue
                        strict = receiver.mode("STRICT")
                        meshed = receiver.membership in ("all", "some")
                        if meshed and strict is not None and strict.field is not None:
                            cause = call.caller.name, strict.field
                            causes.setdefault(cause, []).append((call, receiver.target))
                except OutOfView as hidden:
                    yield self.skip(hidden, route)
        for (name, strict_field), found in causes.items():
            yield self._finding(name, strict_field, found, cluster)

    def _finding(
        self,
        name: str,
        strict: Field,
        found: list[tuple[outside_callers.Call, int | None]],
        cluster: Cluster,
    ) -> Finding:
        called = dict.fromkeys(call.service.ref for call, _ in found)
        first = next(iter(called))
        more = f" and {len(called) - 1} more Services" if len(called) > 1 else ""
        pods = next(call.caller.pods for call, _ in found)
        return self.finding(
            strict,
            f"{name} has no sidecar, and Service {first.namespace}/{first.name}{more} behind it "
            "takes only Istio mTLS",
            marker=name,
            because=(*pods[:1], *dict.fromkeys(call.field for call, _ in found)),
            fix=_fix(found, cluster),
            advice=f"Give {name} a sidecar, or set the container ports it calls to PERMISSIVE "
            "with a PeerAuthentication for these workloads",
        )


def _fix(found: list[tuple[outside_callers.Call, int | None]], cluster: Cluster) -> Fix | None:
    """Exceptions for the ports that are called, while they are few enough to be read."""
    ports = {(call.service, target) for call, target in found}
    if len(ports) > 5 or any(target is None for _, target in ports):
        return None
    wanted = [(service, target or 0, "PERMISSIVE") for service, target in ports]
    changes = istio_mtls.exceptions(cluster, sorted(wanted, key=lambda w: (w[0].ref, w[1])))
    if not changes:
        return None
    return Fix("Let these ports take plaintext as well", changes, needs_review=True)
