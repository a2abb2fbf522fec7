"""The Secret is there now, and nobody looked again."""

from collections.abc import Iterator
from datetime import timedelta
from shlex import quote

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import certificates, gateway_api, grants, status

_PATIENCE = timedelta(minutes=5)


class ListenerStatusOutdated(Probe):
    """A Kong listener still misses a Secret that is there now: its TLS is off.

    Kong's controller uses a listener's certificate only while the listener is Programmed. It
    looks at the reference when the Gateway changes and, up to 3.5, not when the Secret does. A
    Secret that came or was mended after the Gateway leaves the listener at
    InvalidCertificateRef until some change, or the resync after ten hours.

    Not a problem in the first five minutes, or where the Secret really is missing, unusable or
    not granted: then the status is right, and other checks tell it.

    Check it yourself:

    ```sh
    kubectl get gateway NAME -n NAMESPACE -o jsonpath='{.status.listeners[*].conditions[?(@.type=="ResolvedRefs")]}'
    ```

    Source: Kong/kubernetes-ingress-controller 3.5, internal/controllers/gateway/gateway_controller.go;
    Kong/kong-operator issue 2646.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: kong, annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
    spec: {controllerName: konghq.com/kic-gateway-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: shop, generation: 1}
    spec:
      gatewayClassName: kong
      listeners:
      - {name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: shop-tls}]}}
    status:
      listeners:
      - name: https
        conditions:
        - {type: ResolvedRefs, status: "False", reason: InvalidCertificateRef, observedGeneration: 1, lastTransitionTime: "2026-11-20T00:00:00Z"}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (kinds.GATEWAY_CLASS, kinds.SECRET, kinds.REFERENCE_GRANT)
    symptoms = (
        "InvalidCertificateRef",
        "CN=localhost, O=Kong, OU=IT Department",
        "NET::ERR_CERT_AUTHORITY_INVALID",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """InvalidCertificateRef, of late, about Secrets that are fine."""
        if not any(gateway.each("status", "listeners")):
            return
        if gateway_api.controller(gateway, cluster) != "konghq.com/kic-gateway-controller":
            return
        listeners = {listener.name: listener for listener in gateway_api.listeners(gateway)}
        for told in gateway.each("status", "listeners"):
            condition = status.says(gateway, told, "ResolvedRefs", "False")
            listener = listeners.get(told.text("name"))
            if condition is None or condition.text("reason") != "InvalidCertificateRef":
                continue
            since = certificates.time_of(condition.text("lastTransitionTime"))
            if listener is None or (since is not None and cluster.now - since < _PATIENCE):
                continue
            secrets = _all_fine(listener, gateway, cluster)
            if not secrets:
                continue
            names = ", ".join(f"{s.namespace}/{s.name}" for s in secrets)
            yield self.finding(
                condition,
                f"listener {listener.name} says InvalidCertificateRef, but the Secret {names} is "
                "there and whole: its certificate is not served",
                root=gateway,
                because=(listener.field.at("tls", "certificateRefs"), *secrets),
                fix=Fix(
                    "Touch the Gateway, so that the controller looks again",
                    commands=(
                        f"kubectl annotate gateway.gateway.networking.k8s.io {quote(gateway.name)} "
                        f"-n {quote(gateway.namespace)} "
                        'gwdoctor.dev/touched="$(date +%s)" --overwrite',
                    ),
                    needs_review=True,
                ),
            )


def _all_fine(
    listener: gateway_api.Listener, gateway: Resource, cluster: Cluster
) -> tuple[Resource, ...]:
    """The Secrets of a listener if all of them can be served; none otherwise."""
    found = []
    for reference in listener.field.each("tls", "certificateRefs"):
        if reference.text("group") or reference.text("kind") not in ("", "Secret"):
            return ()
        namespace, name = reference.text("namespace") or gateway.namespace, reference.text("name")
        secret = cluster.get(kinds.SECRET, namespace, name)
        permitted = grants.permits(
            cluster, kinds.GATEWAY, gateway.namespace, kinds.SECRET, namespace, name
        )
        if secret is None or secret.text("key") != "matches" or not permitted:
            return ()
        found.append(secret)
    return tuple(found)
