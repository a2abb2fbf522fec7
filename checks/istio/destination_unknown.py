"""A route to a host or port that does not exist."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_routes, services
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.istio_routes import Destination


class DestinationUnknown(Probe):
    """A route of a VirtualService leads nowhere: requests get 503.

    `destination.host` is a name in Istio's registry: a Service, or the host of a ServiceEntry.
    A name without any dot is completed with the namespace of the *VirtualService*; `web.shop`
    is not completed and names nothing. `port.number` is the port of the Service, not the
    container's. A gateway answers 503 (NC, cluster not found), with `outboundTrafficPolicy`
    ALLOW_ANY too.

    Not a problem for hosts of ServiceEntries (wildcards count), ExternalName Services, other
    clusters (`clusterset.local`, `global`), redirects, direct responses and delegates.

    Check it yourself.

    ```sh
    istioctl analyze -n NAMESPACE
    ```

    Source: istio 1.32 pkg/config/host (ResolveShortnameToFQDN); IST0101, KIA1101.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: edge}
    spec:
      hosts: [shop.example.com]
      gateways: [public]
      http: [{route: [{destination: {host: shop.shop, port: {number: 80}}}]}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: shop, namespace: shop}
    spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
    ```

    ```yaml fixed
    spec:
      http: [{route: [{destination: {host: shop.shop.svc.cluster.local, port: {number: 80}}}]}]
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.SERVICE, kinds.SERVICE_ENTRY, kinds.CONFIG_MAP)
    symptoms = ("503 Service Unavailable", "503 NC cluster_not_found", "no healthy upstream")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each destination, and each mirror."""
        fine: set[tuple[str, int | None]] = set()
        for destination in istio_routes.destinations(route):
            if (destination.host, destination.port) in fine:
                continue
            host = istio_routes.full_host(destination, cluster)
            if not host or "*" in host or host.endswith((".clusterset.local", ".global")):
                continue
            service = istio_mesh.service_of(host, route.namespace, cluster)
            if service is None:
                cluster.every(kinds.SERVICE_ENTRY)
                if not istio_mesh.service_entries(host, cluster):
                    yield self._host(destination, host, cluster)
                continue
            known = services.external_name(service) or destination.port is None
            if not known and services.port(service, destination.port) is None:
                yield self._port(destination, service)
            else:
                fine.add((destination.host, destination.port))

    def _host(self, destination: Destination, host: str, cluster: Cluster) -> Finding:
        route = destination.owner
        grown = f" (that is {host})" if host != destination.host else ""
        meant = _meant(host, cluster)
        fix = None
        if meant is not None:
            name = istio_mesh.host_of(meant, cluster)
            change = route.changed(*destination.field.path, "host", to=name)
            fix = Fix(f"Name Service {name} in full", (change,), needs_review=True)
        return self.finding(
            destination.field.at("host"),
            f"no Service or ServiceEntry has the host {destination.host}{grown}",
            root=route,
            severity=_severity(destination),
            because=() if meant is None else (meant,),
            fix=fix,
            advice="" if fix else "Correct the host, or make a ServiceEntry for it",
        )

    def _port(self, destination: Destination, service: Resource) -> Finding:
        route, wanted = destination.owner, destination.port
        ports = [p for p in service.each("spec", "ports") if p.number("port")]
        behind = [p for p in ports if p.number("targetPort") == wanted]
        shown = ", ".join(str(p.number("port")) for p in ports)
        fix = None
        choice = behind or ports
        if len(choice) == 1:
            number = choice[0].number("port")
            change = route.changed(*destination.field.path, "port", "number", to=number)
            fix = Fix(f"Name port {number} of the Service", (change,), needs_review=True)
        return self.finding(
            destination.field.at("port", "number"),
            f"{service.ref} has no port {wanted}, only {shown or 'none'}"
            + (f": {wanted} is a target port" if behind else ""),
            root=route,
            severity=_severity(destination),
            because=(service.at("spec", "ports"),),
            fix=fix,
            advice="" if fix else f"Name one of the ports {shown}",
        )


def _severity(destination: Destination) -> Severity:
    if destination.is_mirror or not destination.weight:
        return Severity.MEDIUM
    bound = virtual_services.gateway_refs(destination.owner)
    outside = any(reference.name is not None for reference in bound)
    return Severity.CRITICAL if outside else Severity.HIGH


def _meant(host: str, cluster: Cluster) -> Resource | None:
    """The Service of `name.namespace` and `name.namespace.svc`, which Istio does not complete."""
    name, _, rest = host.removesuffix(".svc").partition(".")
    if not name or not rest or "." in rest or not cluster.sees(kinds.SERVICE, rest):
        return None
    return cluster.get(kinds.SERVICE, rest, name)
