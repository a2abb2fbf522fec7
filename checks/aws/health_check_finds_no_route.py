"""An HTTP health check on a port where Envoy answers 404."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, gateway_api, http_matches


class HealthCheckFindsNoRoute(Probe):
    """All targets are unhealthy: no route answers the health check.

    `aws-load-balancer-healthcheck-protocol: http` on the traffic port is an ordinary request to
    Envoy, with the target's address as its host. Only a route without `hostnames` on a listener
    without `hostname` answers that; else Envoy says 404, and the load balancer takes 200-399.

    Not a problem with a health check by TCP, or where some route takes requests for any host.

    ```sh
    curl -s -o /dev/null -w '%{http_code}\\n' http://ENVOY_POD_IP:10080/HEALTHCHECK_PATH
    ```

    Source: aws-load-balancer-controller 3, docs/guide/service/annotations.md, healthcheck-*; Envoy
    Gateway issues 5098 and 5195.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-type: external
          service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
          service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge}]
      hostnames: [www.example.com]
      rules: [{backendRefs: [{name: web, port: 80}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: tcp
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.LIKELY
    subjects = (kinds.GATEWAY,)
    needs = (*aws.NEEDS, kinds.HTTP_ROUTE, kinds.NAMESPACE)
    symptoms = (
        "Connection timed out",
        "Empty reply from server",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """HTTP checks of the traffic port of a Gateway that answers no request for any host."""
        found = aws.balancer(gateway, cluster)
        if found is None or not found.is_claimed:
            return
        protocol = found.text("healthcheck-protocol").lower()
        if protocol not in ("http", "https") or "404" in found.text("healthcheck-success-codes"):
            return
        port = found.text("healthcheck-port")
        local = found.target_type == "instance" and found.keeps_traffic_local
        if port not in ("", "traffic-port") or (local and not port):
            return  # another port, or that of kube-proxy
        listeners = {listener.field for port in found.ports for listener in port.listeners}
        cluster.every(kinds.HTTP_ROUTE)
        for place in http_matches.rules_by_match(cluster):
            if not place.hostname and place.listener in listeners:
                return
        fix = None
        if not local:
            fix = found.fix("Check health by TCP", "healthcheck-protocol", "tcp")
        yield self.finding(
            found.where("healthcheck-protocol"),
            f"the health check is an {protocol} request for {found.text('healthcheck-path') or '/'}"
            " that no route without hostnames answers",
            because=found.because(*(one.field for one in gateway_api.listeners(gateway))),
            fix=fix,
            advice=""
            if fix
            else "Take the healthcheck annotations away: the default check of "
            "healthCheckNodePort is the right one",
        )
