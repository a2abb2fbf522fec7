"""A name outside has no ports to look up."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, services


class ExternalNameByPortName(Probe):
    """Kong cannot reach an ExternalName Service: its port is given by name.

    For a Service of type ExternalName Kong's controller takes the port **number** of the
    Ingress as it stands; a name cannot be resolved, and the backend is left out.

    Not a problem with `port.number`, or for other types of Service.

    ```sh
    kubectl get events -A | grep "can't find port for backend"
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator/translate_upstreams.go
    (3.5), findPort.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: api, namespace: shop}
    spec: {ingressClassName: kong, defaultBackend: {service: {name: api, port: {name: https}}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: api, namespace: shop}
    spec: {type: ExternalName, externalName: api.example.com, ports: [{name: https, port: 443}]}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS, kinds.SERVICE)
    symptoms = (
        "can't find port for backend kubernetes service",
        "failure to get a peer from the ring-balancer",
        "name resolution failed",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Backends with a port name, of an ExternalName Service, in an Ingress of Kong's."""
        named = [b for b in ingress.backends(subject) if b.service and isinstance(b.port, str)]
        if not named or not ingress.served_class(subject, cluster, ingress.KONG):
            return
        for backend in named:
            service = cluster.get(kinds.SERVICE, subject.namespace, backend.service)
            if service is None or service.text("spec", "type") != "ExternalName":
                continue
            port = services.port(service, backend.port)
            number = port.number("port") if port is not None else None
            yield self.finding(
                backend.field.at("service", "port"),
                f"Service {service.name} stands for {services.external_name(service)}, and Kong "
                f"cannot look up its port {backend.port}",
                root=subject,
                because=(service.at("spec", "type"),),
                advice=f"Give the port by number{f': {number}' if number else ''}",
            )
