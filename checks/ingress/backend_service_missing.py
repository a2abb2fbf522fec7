"""Backends that are not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress


class BackendServiceMissing(Probe):
    """An Ingress path leads to a Service that does not exist.

    The backend of an Ingress is a Service of the Ingress's own namespace; there is no way to
    name another one. Requests to the path answer 503 (ingress-nginx, Kong) or 404.

    Not a problem for the solver Ingresses of cert-manager, which live for minutes, and for
    backends that an ALB action stands for (`port.name: use-annotation`).

    ```sh
    kubectl -n NAMESPACE describe ingress NAME
    ```

    Source: Kubernetes networking/v1 IngressServiceBackend.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop-blue}
    spec: {ports: [{port: 80}]}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    needs = (kinds.SERVICE,)
    symptoms = (
        "503 Service Temporarily Unavailable",
        "failed to resolve Kubernetes Service",
        "503 Service Unavailable",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each missing Service once, however many paths lead to it."""
        if ingress.is_acme_solver(subject):
            return
        told: set[str] = set()
        for backend in ingress.backends(subject):
            name = backend.service
            if not name or name in told or backend.port == "use-annotation":
                continue
            if cluster.get(kinds.SERVICE, subject.namespace, name) is not None:
                continue
            told.add(name)
            elsewhere = sorted(
                s.namespace for s in cluster.derive(_by_name).get(name, ()) if s.namespace
            )
            yield self.finding(
                backend.field.at("service", "name"),
                f"there is no Service {name} in namespace {subject.namespace}"
                + (f" (there is one in {', '.join(elsewhere[:3])})" if elsewhere else ""),
                root=subject,
                advice="Make the Service, or lead the path to one of this namespace"
                + (
                    "; an Ingress cannot lead into another namespace: put it beside the Service"
                    if elsewhere
                    else ""
                ),
            )


def _by_name(cluster: Cluster) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for service in cluster[kinds.SERVICE]:
        found.setdefault(service.name, []).append(service)
    return found
