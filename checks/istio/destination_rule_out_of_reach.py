"""A DestinationRule in a namespace where no client will look."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class DestinationRuleOutOfReach(Probe):
    """A DestinationRule is used by nobody: it is in the wrong namespace.

    A client looks for the DestinationRule of a host in its own namespace, in the Service's and
    in the root namespace, nowhere else, whatever `exportTo` says. This one is in a namespace
    that is none of these, and in which no Pod has a proxy.

    Not a problem in a namespace with sidecars or gateways: it holds for those.

    ```sh
    kubectl get pods -n NAMESPACE -L security.istio.io/tlsMode
    ```

    Source: istio 1.32 pilot/pkg/model/push_context.go, run in its xDS simulator.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web, namespace: config}
    spec:
      host: web.shop.svc.cluster.local
      trafficPolicy: {connectionPool: {http: {http2MaxRequests: 100}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE, kinds.POD, kinds.CONFIG_MAP)

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A rule that neither clients of its namespace nor others can use."""
        host = istio_rules.host_of(rule, cluster)
        if "*" in host:
            return
        service = istio_mesh.service_of(host, rule.namespace, cluster)
        if service is None or istio_rules.has_clients(rule, service.namespace, cluster):
            return
        root = istio_mesh.mesh(cluster).root_namespace
        yield self.finding(
            rule.at("spec", "host"),
            f"no Pod of namespace {rule.namespace} has a proxy, and clients elsewhere look in "
            f"their own namespace, in {service.namespace} and in {root}",
            because=(service,),
            advice=f"Move it into namespace {service.namespace}, where every client of the "
            "Service finds it",
        )
