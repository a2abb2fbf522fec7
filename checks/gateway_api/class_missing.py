"""A Gateway of a class that does not exist."""

import difflib
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds


class ClassMissing(Probe):
    """Nobody runs this Gateway: its GatewayClass does not exist.

    `gatewayClassName` is not checked when a Gateway is created. It waits, without an address and
    with the status that the CRD gave it ("Waiting for controller"), until a class of that name
    comes.

    Not a problem while the controller, which often brings the class, is still being installed.

    ```sh
    kubectl get gatewayclasses
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go; tried on a kube-apiserver 1.36.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: envoy-gateway}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: envoy-gatway
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec: {gatewayClassName: envoy-gateway}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY,)
    needs = (kinds.GATEWAY_CLASS,)
    symptoms = (
        "Waiting for controller",
        "Connection refused",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A name that no class has."""
        name = gateway.text("spec", "gatewayClassName")
        if not name or cluster.get(kinds.GATEWAY_CLASS, "", name) is not None:
            return
        there = [found.name for found in cluster[kinds.GATEWAY_CLASS]]
        fix = None
        close = difflib.get_close_matches(name, there, n=1)
        if close:
            change = gateway.changed("spec", "gatewayClassName", to=close[0])
            fix = Fix(f"Use the class {close[0]}", (change,), needs_review=True)
        yield self.finding(
            gateway.at("spec", "gatewayClassName"),
            f"there is no GatewayClass {name}; there is {', '.join(there) or 'none'}",
            fix=fix,
            advice=""
            if fix
            else "Name a class that exists, or install the controller that brings this one",
        )
