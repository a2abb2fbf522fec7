"""An AuthorizationPolicy that looks into HTTP where there is only TCP."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls

_HTTP_ONLY = ("paths", "notPaths", "methods", "notMethods", "hosts", "notHosts")


class HttpPolicyOnTcpPort(Probe):
    """An AuthorizationPolicy asks a TCP port for HTTP: all or nothing passes.

    On a port declared as TCP a proxy sees no path, method or host. There an ALLOW rule that asks
    for one never matches, so nothing is let in by it; in a DENY rule such fields are dropped,
    and what is left of it, often everything, is denied.

    Not a problem where the rule names other ports in `to.operation.ports`, or where the port is
    HTTP or declares nothing (then HTTP is recognised).

    ```sh
    istioctl x authz check POD -n NAMESPACE
    ```

    Source: istio 1.32 pilot/pkg/security/authz (TCP rules), and its validation warning for DENY.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: no-admin, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      action: DENY
      rules: [{to: [{operation: {paths: [/admin]}}]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: tcp-web, port: 80, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.AUTHORIZATION_POLICY,)
    needs = (kinds.SERVICE, kinds.POD, kinds.ENDPOINT_SLICE)
    symptoms = ("RBAC: access denied", "connection reset by peer")

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A rule with HTTP fields, and a TCP port that it reaches."""
        wanted = policy.labels("spec", "selector", "matchLabels")
        action = policy.text("spec", "action") or "ALLOW"
        asked = list(_asked(policy))
        if not wanted or not asked or action not in ("ALLOW", "DENY"):
            return
        pods = cluster.select(kinds.POD, wanted, policy.namespace)
        if not any(istio_mesh.has_sidecar(pod) for pod in pods):
            return
        for service in istio_mtls.selecting(cluster, policy.namespace, pods[0].own_labels):
            for port in service.each("spec", "ports"):
                protocol = istio_mesh.protocol(port)
                if protocol in ("", "UDP", *istio_mesh.HTTP):
                    continue
                target = istio_mtls.target_port(cluster, service, port)
                spot = next((f for f, ports in asked if not ports or str(target) in ports), None)
                if spot is None:
                    continue
                effect = "matches nothing there" if action == "ALLOW" else "denies without it there"
                yield self.finding(
                    spot,
                    f"port {port.number('port')} of Service {service.name} is {protocol} "
                    f"({istio_mesh.declaration(port)}), so this {action} rule {effect}",
                    because=(port,),
                    advice="Declare the port as http if it speaks HTTP, or name the ports that "
                    "the rule is for in to.operation.ports",
                )
                return


def _asked(policy: Resource) -> Iterator[tuple[Field, tuple[str, ...]]]:
    """Each HTTP field of the rules, and the ports that its rule is for."""
    for rule in policy.each("spec", "rules"):
        for target in rule.each("to"):
            for name in _HTTP_ONLY:
                if target.has("operation", name):
                    yield target.at("operation", name), target.texts("operation", "ports")
