"""Clients are told to speak something else than Istio's mTLS to workloads that insist on it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, istio_rules


class DestinationRuleBypassesStrictMtls(Probe):
    """Clients do not speak Istio mTLS to a sidecar that demands it.

    The `tls` block of a DestinationRule replaces auto mTLS: DISABLE sends plaintext, SIMPLE and
    MUTUAL send a TLS of the client's own, without the mesh certificate. A sidecar in mode STRICT
    answers both by closing the connection (`filter_chain_not_found`, flag NR, in its log). In
    mode PERMISSIVE it takes plaintext, but on a port declared as HTTP still no foreign TLS.
    What counts for a port is its `portLevelSettings` entry, even one without `tls`.

    Not a problem where the Pods have no sidecar, where an older DestinationRule for the host
    already gave the policy, or where a `portLevelMtls` entry makes the port PERMISSIVE.

    ```sh
    istioctl x describe pod POD -n NAMESPACE
    kubectl logs -n NAMESPACE POD -c istio-proxy | grep filter_chain_not_found
    ```

    Source: istio 1.32 pilot/pkg/networking/core (cluster TLS, inbound filter chains), run in
    its xDS simulator.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: istio-system}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: orders, namespace: shop}
    spec:
      host: orders
      trafficPolicy: {tls: {mode: DISABLE}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: orders, namespace: shop}
    spec: {selector: {app: orders}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: orders-1
      namespace: shop
      labels: {app: orders, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    kind: DestinationRule
    spec: {trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
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
        "filter_chain_not_found",
        "connection termination",
        "NR filter_chain_not_found",
    )

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A tls block of the rule, and the ports that will not take what it sends."""
        clashes: dict[Field, list[tuple[Field, Resource, istio_mtls.Mode]]] = {}
        needed_elsewhere: set[Field] = set()
        if not istio_rules.tls_blocks(rule):
            return
        place = istio_rules.scope(rule, cluster)
        if place is not None and not istio_rules.sees_workloads(place, cluster):
            yield from self._by_policy_alone(rule, place, cluster)
            return
        for service in istio_rules.covered_services(rule, cluster):
            host = istio_mesh.host_of(service, cluster)
            if not istio_rules.applies(rule, host, service.namespace, cluster):
                continue
            for port in service.each("spec", "ports"):
                for tls in istio_rules.client_tls(rule, port.number("port")):
                    mode = _refusing(tls, service, port, cluster)
                    if mode is not None:
                        clashes.setdefault(tls.field, []).append((port, service, mode))
                    else:
                        needed_elsewhere.add(tls.field)
        for block, found in clashes.items():
            port, service, mode = found[0]
            sent = block.text("mode") or "DISABLE"
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield self.finding(
                block.at("mode"),
                f"tls mode {sent} sends {'plaintext' if sent == 'DISABLE' else 'foreign TLS'} to "
                f"{service.name}.{service.namespace} port {port.number('port')}{more}, where "
                f"PeerAuthentication mode {mode.name} "
                + ("takes only Istio mTLS" if mode.name == "STRICT" else "reads HTTP"),
                because=(
                    *dict.fromkeys(m.field for _, _, m in found if m.field is not None),
                    *dict.fromkeys(p for p, _, _ in found),
                ),
                fix=_fix(rule, block, block in needed_elsewhere),
                advice="Remove the tls block: auto mTLS then picks for each endpoint what it "
                "takes; or give single ports their own portLevelSettings entry",
            )

    def _by_policy_alone(self, rule: Resource, place: str, cluster: Cluster) -> Iterator[Finding]:
        """Two settings for one scope that contradict each other, whatever runs in it."""
        block = rule.at("spec", "trafficPolicy", "tls")
        mode = istio_mtls.mode_in_scope(cluster, place)
        if block.text("mode") in ("DISABLE", "SIMPLE", "MUTUAL") and mode.name == "STRICT":
            yield self.finding(
                block.at("mode"),
                f"tls mode {block.text('mode')} holds for "
                f"{'namespace ' + place if place else 'the whole mesh'}, where PeerAuthentication "
                "mode STRICT takes only Istio mTLS",
                because=() if mode.field is None else (mode.field,),
                advice="Remove the tls block: auto mTLS then picks for each endpoint what it takes",
            )


def _refusing(
    tls: istio_rules.ClientTls, service: Resource, port: Field, cluster: Cluster
) -> istio_mtls.Mode | None:
    """The mode with which a sidecar behind this port refuses what this block sends."""
    if tls.mode not in ("DISABLE", "SIMPLE", "MUTUAL"):
        return None
    receiver = istio_mtls.receiver(cluster, service, port)
    if receiver is None or receiver.membership not in ("all", "some"):
        return None
    strict = receiver.mode("STRICT")
    if strict is None and tls.mode != "DISABLE" and istio_mesh.protocol(port) in istio_mesh.HTTP:
        return receiver.mode("PERMISSIVE")
    return strict


def _fix(rule: Resource, block: Field, needed_elsewhere: bool) -> Fix | None:
    """ISTIO_MUTUAL, unless the block also serves ports or settings that are not to change."""
    if needed_elsewhere or "*" in rule.text("spec", "host"):
        return None
    if set(dict(block.entries())) - {"mode"}:
        return None
    change = rule.changed(*block.path, "mode", to="ISTIO_MUTUAL")
    return Fix("Speak Istio mTLS to this workload", (change,), needs_review=True)
