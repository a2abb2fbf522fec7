"""A Gateway whose selector finds no gateway Pod."""

from collections.abc import Iterator, Mapping

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_gateways


class GatewaySelectsNoRouter(Probe):
    """A Gateway is served by nothing: its selector finds no gateway Pod.

    The selector is compared with the labels of Pods in all namespaces, and only Pods that run
    Istio's proxy as a router count: sidecars that carry the label take nothing. The label is
    `istio: ingressgateway` after `istioctl install`, and comes from the release name with the
    Helm chart: release `istio-ingress` labels its Pods `istio: ingress`.

    Not a problem where the gateway Deployment is scaled to zero on purpose; an empty selector
    takes every gateway Pod.

    ```sh
    kubectl get pods --all-namespaces -l istio=ingressgateway --show-labels
    ```

    Source: istio 1.32 pilot/pkg/model/push_context.go (mergeGateways); IST0101, KIA0302.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: shop, namespace: shop}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: ingress-1
      namespace: istio-ingress
      labels: {istio: ingress, app: istio-ingress}
      annotations: {inject.istio.io/templates: gateway}
    ```

    ```yaml fixed
    spec: {selector: {istio: ingress}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = istio_gateways.GATEWAYS
    needs = istio_gateways.READS
    symptoms = ("Connection refused", "404 Not Found", "Referenced selector not found")

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """Every classic Gateway that no workload in the picture takes."""
        cluster.every(kinds.POD)
        workloads = istio_gateways.workloads(cluster)
        routers = [workload.labels for workload in workloads if workload.is_seen]
        served = {s.owner for w in workloads if w.is_seen for s in w.servers}
        if not cluster.may_hold(kinds.ISTIO_GATEWAY):
            return
        for gateway in cluster[kinds.ISTIO_GATEWAY]:
            if gateway in served or not istio_gateways.servers_of(gateway):
                continue
            if not any(_fits(gateway, labels) for labels in routers):
                yield self._of(gateway, cluster)

    def _of(self, gateway: Resource, cluster: Cluster) -> Finding:
        selector = gateway.labels("spec", "selector")
        shown = ", ".join(f"{key}: {value}" for key, value in sorted(selector.items()))
        others = list(cluster.select(kinds.POD, selector)) if selector else []
        message = f"no gateway Pod carries {shown or 'any label'}"
        if others:
            message = f"{shown} is carried by {others[0].ref}, which is no gateway"
        labels = cluster.derive(_router_labels)
        fix = None
        if len(labels) == 1 and not others:
            change = gateway.changed("spec", "selector", to=dict(labels[0]))
            name = ", ".join(f"{key}: {value}" for key, value in labels[0])
            fix = Fix(f"Select {name}, the only gateway there is", (change,), needs_review=True)
        return self.finding(
            gateway.at("spec", "selector"),
            message,
            root=gateway,
            because=tuple(others[:1]),
            fix=fix,
            advice="" if fix else "Select the labels of the gateway Pods, or start the gateway",
        )


def _fits(gateway: Resource, labels: Mapping[str, str]) -> bool:
    return gateway.labels("spec", "selector").items() <= labels.items()


def _router_labels(cluster: Cluster) -> list[tuple[tuple[str, str], ...]]:
    """What the Pods that are gateways for certain would be selected by."""
    found: dict[tuple[tuple[str, str], ...], None] = {}
    for pod in cluster[kinds.POD]:
        if istio_gateways.is_router(pod, cluster) and not pod.label(istio_gateways.GATEWAY_NAME):
            key = "istio" if pod.label("istio") else "app"
            found[((key, pod.label(key)),)] = None
    return sorted(found)
