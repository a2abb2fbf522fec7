"""A GatewayClass that its controller refuses, or that has none."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, status


class ClassNotAccepted(Probe):
    """Nobody runs the Gateways of this class: it is not accepted.

    A controller takes the classes whose `controllerName` is, letter for letter, its own, and
    says so. "Waiting for controller" is the text that the CRD starts with: then no controller of
    that name runs, may read the class, or lives any more. `controllerName` cannot be changed.

    Not a problem for a class that was made a moment ago.

    ```sh
    kubectl get gatewayclass NAME -o jsonpath='{.spec.controllerName}{"\\n"}{.status.conditions}'
    ```

    Source: gateway-api 1.6, apis/v1/gatewayclass_types.go; the defaults tried on a kube-apiserver
    1.36.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg, generation: 1}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controler}
    status:
      conditions:
      - type: Accepted
        status: Unknown
        reason: Pending
        message: Waiting for controller
        lastTransitionTime: "1970-01-01T00:00:00Z"
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY_CLASS,)
    needs = (kinds.GATEWAY,)
    symptoms = (
        "OlderGatewayClassExists",
        "InvalidParameters",
        "Waiting for controller",
    )

    def check(self, gateway_class: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Accepted is False, or nobody has ever said anything."""
        said = status.condition(gateway_class.at("status"), "Accepted")
        if said is None or said.text("status") == "True":
            return
        name = gateway_class.text("spec", "controllerName")
        if status.is_current(gateway_class, said) and said.text("status") == "False":
            message = f"{name} refuses it: {said.text('reason')}: {said.text('message')}"
        elif said.text("lastTransitionTime").startswith("1970-"):
            message = f"no controller called {name} has looked at it"
        else:
            return
        gateways = gateway_api.gateways_by_class(cluster).get(gateway_class.name, ())
        yield self.finding(
            gateway_class.at("spec", "controllerName"),
            " ".join(message.split()).rstrip("."),
            severity=Severity.CRITICAL if gateways else Severity.LOW,
            because=(said, *gateways),
            advice="Compare controllerName with the one that the controller was started with, and "
            "look at its log; a class with another controllerName has to be made anew",
        )
