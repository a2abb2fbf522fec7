"""A ListenerSet that its Gateway keeps out."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, status


class ListenerSetNotAllowed(Probe):
    """None of these listeners is served: the Gateway admits no ListenerSet.

    A Gateway admits ListenerSets only where `spec.allowedListeners.namespaces` says so; the
    default is none, not even from its own namespace.

    Not a problem where the controller accepted the ListenerSet as it is now.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{.spec.allowedListeners}'
    ```

    Source: gateway-api 1.6, apis/v1/gateway_types.go (AllowedListeners) and conformance
    listenerset-allowed-namespace-* (NotAllowed).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: ListenerSet
    metadata: {name: shop, namespace: shop}
    spec:
      parentRef: {name: edge, namespace: infra}
      listeners:
      - {name: http, port: 8080, protocol: HTTP}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      allowedListeners:
        namespaces:
          from: Selector
          selector:
            matchExpressions:
            - {key: kubernetes.io/metadata.name, operator: In, values: [shop]}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.LISTENER_SET,)
    needs = (kinds.GATEWAY, kinds.NAMESPACE)
    symptoms = ("NotAllowed",)

    def check(self, listener_set: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The Gateway is there and does not admit it."""
        gateway = gateway_api.gateway_of(listener_set, cluster)
        if gateway is None or gateway_api.admits_set(gateway, listener_set, cluster):
            return
        if status.says(listener_set, listener_set.at("status"), "Accepted", "True"):
            return
        allowed = gateway.at("spec", "allowedListeners", "namespaces")
        source = allowed.text("from") or "None"
        fix = None
        if source in ("None", "Same"):
            own = [gateway.namespace] if source == "Same" else []
            names = sorted({*own, listener_set.namespace})
            expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}
            admitted = {"from": "Selector", "selector": {"matchExpressions": [expression]}}
            fix = Fix(
                "Admit ListenerSets of this namespace",
                (gateway.changed(*allowed.path, to=admitted),),
                needs_review=True,
            )
        yield self.finding(
            listener_set.at("spec", "parentRef"),
            f"Gateway {gateway.namespace}/{gateway.name} admits ListenerSets from: {source}, which "
            f"leaves out namespace {listener_set.namespace}",
            because=(gateway.at("spec", "allowedListeners"),),
            fix=fix,
            advice="" if fix else "Give the namespace the labels that allowedListeners selects",
        )
