"""Ports that the Service does not have."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, services


class BackendPortMissing(Probe):
    """An Ingress path leads to a port that its Service does not have.

    `port.number` and `port.name` mean the port of the **Service**, not of the container: 8080
    is wrong where the Service maps 80 to 8080. A number never matches a name. The path
    answers 503.

    Not a problem for a Service of type ExternalName, of which controllers take any number.

    ```sh
    kubectl -n NAMESPACE get service NAME -o jsonpath='{.spec.ports}'
    ```

    Source: Kubernetes networking/v1 ServiceBackendPort; KIC translator findPort (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      defaultBackend: {service: {name: shop, port: {number: 8080}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
    ```

    ```yaml fixed
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    spec: {defaultBackend: {service: {port: {number: 80}}}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    needs = (kinds.SERVICE,)
    symptoms = (
        "503 Service Temporarily Unavailable",
        "can't find port for backend",
        "503 Service Unavailable",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each missing port once, however many paths lead to it."""
        if ingress.is_acme_solver(subject):
            return
        told: set[tuple[str, int | str]] = set()
        for backend in ingress.backends(subject):
            port = backend.port
            if not backend.service or port is None or (backend.service, port) in told:
                continue
            service = cluster.get(kinds.SERVICE, subject.namespace, backend.service)
            if service is None or services.external_name(service):
                continue
            if services.port(service, port) is not None:
                continue
            told.add((backend.service, port))
            yield self._found(subject, backend, service, port)

    def _found(
        self, subject: Resource, backend: ingress.Backend, service: Resource, port: int | str
    ) -> Finding:
        there = list(service.each("spec", "ports"))
        names = ", ".join(f"{p.number('port')} ({p.text('name') or 'unnamed'})" for p in there)
        reaching = [p for p in there if p.at("targetPort").value == port]
        right = reaching if len(reaching) == 1 else there
        fix = None
        if len(right) == 1 and right[0].number("port") is not None:
            field = backend.field.at("service", "port")
            change = subject.changed(*field.path, to={"number": right[0].number("port")})
            fix = Fix(
                f"Lead to port {right[0].number('port')} of the Service",
                (change,),
                needs_review=True,
            )
        return self.finding(
            backend.field.at("service", "port"),
            f"Service {service.name} has no port {port}; it has {names or 'none'}",
            root=subject,
            because=(service.at("spec", "ports"),),
            fix=fix,
            advice="" if fix else f"Name one of the Service's ports: {names or 'it has none yet'}",
        )
