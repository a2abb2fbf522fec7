"""TLS listeners that clients cannot tell apart."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import envoy_gateway, gateway_api


class TlsListenersOverlap(Probe):
    """Browsers may ask for one site over the connection of another.

    HTTP/2 clients reuse a connection for every name that its certificate covers. Where the
    certificate of one listener covers the name of another, requests arrive at the wrong one and
    get 421 or 404. The controller says so with the condition OverlappingTLSConfig. Envoy Gateway
    then speaks HTTP/1.1 there, which has no such reuse, unless a ClientTrafficPolicy names
    `alpnProtocols`.

    Not a problem where both listeners serve the same routes.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.status.listeners[*].conditions}'
    ```

    Source: gateway-api 1.6, GEP-3567; Envoy Gateway 1.9, issues 2675, 8754 and 8934.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra, generation: 1}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: all, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: {certificateRefs: [{name: all}]}}
      - {name: shop, port: 443, protocol: HTTPS, hostname: shop.example.com, tls: {certificateRefs: [{name: shop}]}}
    status:
      listeners:
      - name: shop
        conditions:
        - type: OverlappingTLSConfig
          status: "True"
          reason: OverlappingCertificates
          message: The certificate SAN shop.example.com overlaps with *.example.com in listener all
          observedGeneration: 1
          lastTransitionTime: "2026-11-21T10:00:00Z"
    ---
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: ClientTrafficPolicy
    metadata: {name: edge, namespace: infra}
    spec:
      targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
      tls: {alpnProtocols: [h2, http/1.1]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    needs = (kinds.GATEWAY_CLASS, kinds.CLIENT_TRAFFIC_POLICY)
    symptoms = ("421 Misdirected Request", "404 Not Found")

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Listeners of which the controller says so."""
        for listener in gateway_api.listeners(owner):
            said = gateway_api.listener_condition(listener, "OverlappingTLSConfig")
            if said is None or said.text("status") != "True":
                continue
            gateway = gateway_api.gateway_of(owner, cluster)
            if gateway is None:
                continue
            severity, how = Severity.MEDIUM, ""
            if envoy_gateway.answers_for(gateway, cluster):
                policy = envoy_gateway.client_policy(listener, gateway, cluster)
                offered = policy.texts("spec", "tls", "alpnProtocols") if policy is not None else ()
                if "h2" in offered:
                    severity, how = Severity.HIGH, ", and alpnProtocols offers h2"
                elif offered or said.text("reason") == "OverlappingCertificates":
                    severity, how = Severity.LOW, ", so it speaks HTTP/1.1 only"
            text = " ".join(said.text("message").split()).rstrip(".")
            yield self.finding(
                listener.field,
                f"{text or said.text('reason')}{how}",
                severity=severity,
                because=(said,),
                advice="Give each listener a certificate for its own names only, or let one listener "
                "serve them all",
            )
