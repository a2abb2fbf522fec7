"""Clients are told to speak Istio mTLS to workloads that do not."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules


class DestinationRuleDemandsMissingMtls(Probe):
    """Clients speak Istio mTLS to a workload that cannot answer it.

    Mode ISTIO_MUTUAL in a DestinationRule is no wish: it is sent to every endpoint, also to Pods
    without a sidecar and to ports whose PeerAuthentication says DISABLE, and those take the
    handshake for garbage. Without a `tls` block auto mTLS asks for each endpoint what it speaks.

    Not a problem where all Pods have a sidecar that is not in mode DISABLE, or where the block
    is that of a port or subset that leads elsewhere.

    ```sh
    kubectl get pods -n NAMESPACE -l SELECTOR -L security.istio.io/tlsMode
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS), run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: legacy, namespace: shop}
    spec:
      host: legacy
      trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: legacy, namespace: shop}
    spec: {selector: {app: legacy}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: legacy-1, namespace: shop, labels: {app: legacy}}
    ```

    ```yaml fixed
    kind: DestinationRule
    spec: {trafficPolicy: {tls: {mode: DISABLE}}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.DESTINATION_RULE,)
    needs = (
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "upstream connect error or disconnect/reset before headers",
        "TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
    )

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An ISTIO_MUTUAL block, and the ports that do not speak it."""
        clashes: dict[Field, list[tuple[Resource, Field, str, tuple[Field, ...]]]] = {}
        fits_somewhere: set[Field] = set()
        everywhere = "*" in rule.text("spec", "host")
        if not istio_rules.tls_blocks(rule):
            return
        place = istio_rules.scope(rule, cluster)
        if place is not None and not istio_rules.sees_workloads(place, cluster):
            yield from self._by_policy_alone(rule, place, cluster)
            return
        for service in istio_rules.covered_services(rule, cluster):
            if everywhere and service.namespace == "kube-system":
                continue  # nobody means the cluster's own services with a wildcard, or calls them
            host = istio_mesh.host_of(service, cluster)
            if not istio_rules.applies(rule, host, service.namespace, cluster):
                continue
            for port in service.each("spec", "ports"):
                for tls in istio_rules.client_tls(rule, port.number("port")):
                    if tls.mode != "ISTIO_MUTUAL":
                        continue
                    why, because = _deaf(service, port, cluster)
                    if not why or (tls.subset and "some" in why):
                        fits_somewhere.add(tls.field)
                    else:
                        clashes.setdefault(tls.field, []).append((service, port, why, because))
        for block, found in clashes.items():
            service, port, why, because = found[0]
            more = f" (and {len(found) - 1} more ports)" if len(found) > 1 else ""
            partly = everywhere or why.startswith("some")
            yield self.finding(
                block.at("mode"),
                f"tls mode ISTIO_MUTUAL is sent to {service.name}.{service.namespace} "
                f"port {port.number('port')}{more}, where {why}",
                severity=Severity.HIGH if partly else None,
                because=tuple(
                    dict.fromkeys([*because, *(f for _, p, _, b in found for f in (p, *b))])
                ),
                fix=None if partly or block in fits_somewhere else _fix(rule, block),
                advice="Remove the tls block: auto mTLS then picks for each endpoint what it "
                "takes; or give the workload a sidecar",
            )

    def _by_policy_alone(self, rule: Resource, place: str, cluster: Cluster) -> Iterator[Finding]:
        """Two settings for one scope that contradict each other, whatever runs in it."""
        block = rule.at("spec", "trafficPolicy", "tls")
        mode = istio_mtls.mode_in_scope(cluster, place)
        if block.text("mode") == "ISTIO_MUTUAL" and mode.name == "DISABLE":
            yield self.finding(
                block.at("mode"),
                "tls mode ISTIO_MUTUAL holds for "
                f"{'namespace ' + place if place else 'the whole mesh'}, where PeerAuthentication "
                "mode DISABLE turns mTLS off",
                because=() if mode.field is None else (mode.field,),
                advice="Remove the tls block: auto mTLS then picks for each endpoint what it takes",
            )


def _deaf(service: Resource, port: Field, cluster: Cluster) -> tuple[str, tuple[Field, ...]]:
    """Why the workload behind a port does not answer Istio mTLS; empty if it does."""
    receiver = istio_mtls.receiver(cluster, service, port)
    if receiver is None or not receiver.has_pods:
        return "", ()
    if receiver.membership == "none":
        return "the Pods have no sidecar", ()
    off = receiver.mode("DISABLE")
    if off is not None and receiver.membership in ("all", "some"):
        because = () if off.field is None else (off.field,)
        return "PeerAuthentication mode DISABLE turns it off", because
    if receiver.membership == "some":
        return "some Pods have no sidecar", ()
    return "", ()


def _fix(rule: Resource, block: Field) -> Fix | None:
    if set(dict(block.entries())) - {"mode"}:
        return None
    change = rule.changed(*block.path, "mode", to="DISABLE")
    return Fix("Speak plaintext to this workload", (change,), needs_review=True)
