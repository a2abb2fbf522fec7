"""A Service opened to the outside whose Pods take mesh traffic only."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mtls


class LoadBalancerIntoStrictMtls(Probe):
    """A Service is open to the outside, and its Pods refuse what is not mesh.

    A LoadBalancer or NodePort Service leads its callers straight to the Pods, past every
    gateway. A sidecar in mode STRICT closes their connections: only clients with a mesh
    certificate get through, and outside there are none.

    Not a problem where the Pods are an Istio gateway, where they have no sidecar, or where the
    container port is PERMISSIVE or DISABLE by `portLevelMtls`.

    ```sh
    curl -v http://LOAD_BALANCER_ADDRESS:PORT/
    ```

    Source: istio 1.32 pilot/pkg/networking/core (inbound filter chains).

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: shop}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec:
      type: LoadBalancer
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: 8080}]
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
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
    subjects = (kinds.SERVICE,)
    needs = (kinds.POD, kinds.ENDPOINT_SLICE, kinds.PEER_AUTHENTICATION, kinds.CONFIG_MAP)
    symptoms = (
        "Connection reset by peer",
        "Empty reply from server",
        "NR filter_chain_not_found",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Service for outside callers whose ports are all refused, or some."""
        opened = service.text("spec", "type")
        if opened not in ("LoadBalancer", "NodePort"):
            return
        refused = []
        targets: list[tuple[Resource, int, str]] = []
        strict = None
        for port in service.each("spec", "ports"):
            receiver = istio_mtls.receiver(cluster, service, port)
            if receiver is None or receiver.membership != "all":
                continue
            mode = receiver.mode("STRICT")
            if mode is None or len(receiver.modes) > 1:
                continue
            strict = strict or mode
            refused.append(str(port.number("port")))
            if receiver.target is not None:
                targets.append((service, receiver.target, "PERMISSIVE"))
        if not refused:
            return
        changes: tuple[Change, ...] = ()
        if len(targets) == len(refused):
            changes = istio_mtls.exceptions(cluster, targets)
        yield self.finding(
            service.at("spec", "type"),
            f"type {opened} opens port {', '.join(refused)} to callers outside the mesh, and "
            "PeerAuthentication mode STRICT closes their connections",
            severity=None if opened == "LoadBalancer" else Severity.MEDIUM,
            because=() if strict is None or strict.field is None else (strict.field,),
            fix=Fix("Let these ports take plaintext as well", changes, needs_review=True)
            if changes
            else None,
            advice="Lead outside callers through an Istio gateway and make the Service a "
            "ClusterIP, or set the container ports to PERMISSIVE for this workload",
        )
