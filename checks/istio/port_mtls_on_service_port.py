"""portLevelMtls written with the Service's port instead of the container's."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mtls


class PortMtlsOnServicePort(Probe):
    """A port's own mTLS mode is not applied: the number is the Service's.

    The keys of `portLevelMtls` are ports of the container. A key that is only the `port` of a
    Service, whose targetPort is another number, matches nothing, and the port keeps the mode
    of the workload.

    Not a problem where the targetPort has an entry too, or where some Service leads to a
    container port of this number.

    ```sh
    kubectl get service -n NAMESPACE NAME -o jsonpath='{.spec.ports}'
    ```

    Source: istio 1.32 pilot/pkg/security/authn (ComposePeerAuthentication); istio/istio#49098.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: orders, namespace: shop}
    spec:
      selector: {matchLabels: {app: orders}}
      mtls: {mode: STRICT}
      portLevelMtls: {80: {mode: PERMISSIVE}}
    ---
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
    ```

    ```yaml fixed
    kind: PeerAuthentication
    spec: {portLevelMtls: {"8080": {mode: PERMISSIVE}}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.PEER_AUTHENTICATION,)
    needs = (kinds.SERVICE, kinds.POD, kinds.ENDPOINT_SLICE)
    symptoms = ("NR filter_chain_not_found",)

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An entry whose number is a Service's port and no container's."""
        entries = dict(policy.entries("spec", "portLevelMtls"))
        if not entries or not istio_mtls.selector(policy):
            return
        targets: dict[int, int] = {}
        because = {}
        reachable = set()
        for labels in istio_mtls.reached(cluster, policy):
            for service in istio_mtls.selecting(cluster, policy.namespace, labels):
                for port in service.each("spec", "ports"):
                    number = port.number("port")
                    target = istio_mtls.target_port(cluster, service, port)
                    if target is None:
                        return  # a named port that no endpoint resolves: it may be any number
                    reachable.add(target)
                    if number is not None and number != target:
                        targets.setdefault(number, target)
                        because[number] = port
        for key, entry in entries.items():
            number = int(key) if key.isdecimal() else 0
            wanted = targets.get(number)
            if wanted is None or number in reachable or str(wanted) in entries:
                continue
            mode = entry.text("mode")
            change = policy.changed("spec", "portLevelMtls", str(wanted), to={"mode": mode})
            yield self.finding(
                entry,
                f"{mode or 'the mode'} for port {number} is not applied: {number} is the port of "
                f"Service {because[number].ref.name}, its container port is {wanted}",
                because=(because[number],),
                fix=Fix(f"Set the mode for container port {wanted}", (change,), needs_review=True)
                if mode
                else None,
                advice=f"Write the entry for container port {wanted}",
            )
