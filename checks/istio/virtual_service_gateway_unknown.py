"""A VirtualService bound to a Gateway that is not there, or that cannot take it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.istio_virtual_services import GatewayRef


class VirtualServiceGatewayUnknown(Probe):
    """A VirtualService has no effect: the Gateway it is bound to is unknown.

    `gateways` names classic Gateways: `name` means one of the VirtualService's own namespace,
    one of another namespace is `namespace/name`. A Gateway of Gateway API is never meant, even
    where it has that name and Istio runs it: the request gets 404, and since July 2026
    `istioctl analyze` is silent about it. Routes reach such a Gateway by HTTPRoute.

    Not a problem for `mesh`, and for the old form `name.namespace`, which istiod still reads.

    Check it yourself: which classic Gateways there are.

    ```sh
    kubectl get gateways.networking.istio.io --all-namespaces
    ```

    Source: istio 1.32 pilot/pkg/model/push_context.go, run in its traffic simulator; IST0101.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: shop}
    spec:
      hosts: [shop.example.com]
      gateways: [public]
      http: [{route: [{destination: {host: shop}}]}]
    ---
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: public, namespace: istio-ingress}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
    ```

    ```yaml fixed
    spec: {gateways: [istio-ingress/public]}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.ISTIO_GATEWAY, kinds.GATEWAY)
    symptoms = (
        "404 Not Found",
        "Referenced gateway not found",
        "404 NR route_not_found",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each entry that is no classic Gateway."""
        references = virtual_services.gateway_refs(route)
        missing = [reference for reference in references if _is_missing(reference, cluster)]
        for reference in missing:
            alone = len(missing) == len(references)
            yield self._of(reference, Severity.CRITICAL if alone else Severity.HIGH, cluster)

    def _of(self, reference: GatewayRef, severity: Severity, cluster: Cluster) -> Finding:
        namespace, name = reference.name or ("", "")
        text = reference.field.text()
        sees = cluster.sees(kinds.ISTIO_GATEWAY, namespace)
        message = f"there is no Gateway {namespace}/{name}"
        advice = f"Name the Gateway that {', '.join(virtual_services.hosts_of(reference.route))} is to be served by"
        because: tuple[Resource, ...] = ()
        fix = None
        api = _of_gateway_api(cluster, namespace, name)
        if virtual_services.INTERNAL in text:
            message = f"{text} is an internal name of istiod, which nothing may refer to"
            advice = "Route by HTTPRoute, with the Gateway as parentRef"
        elif api is not None:
            message = (
                f"{namespace}/{name} is a Gateway of Gateway API, which takes no VirtualService"
            )
            advice = f"Write the rules as HTTPRoute with parentRef {namespace}/{name}"
            because = (api,)
        else:
            namesakes = cluster.derive(_by_name).get(name, ()) if sees else ()
            because = tuple(namesakes[:3])
            if len(namesakes) == 1:
                meant = f"{namesakes[0].namespace}/{name}"
                change = reference.route.changed(*reference.field.path, to=meant)
                fix = Fix(f"Bind it to Gateway {meant}", (change,), needs_review=True)
            if namesakes:
                message += f"; one of that name is in {namesakes[0].namespace}"
        return self.finding(
            reference.field,
            message,
            root=reference.route,
            severity=severity,
            confidence=Confidence.LIKELY if not sees else None,
            because=because,
            fix=fix,
            advice="" if fix else advice,
        )


def _is_missing(reference: GatewayRef, cluster: Cluster) -> bool:
    if reference.name is None:
        return False
    if virtual_services.INTERNAL in reference.field.text():
        return True
    sees = cluster.sees(kinds.ISTIO_GATEWAY, reference.name[0])
    if not sees and _of_gateway_api(cluster, *reference.name) is not None:
        return True  # files with a Gateway of that name that is none for VirtualServices
    return cluster.get(kinds.ISTIO_GATEWAY, *reference.name) is None


def _of_gateway_api(cluster: Cluster, namespace: str, name: str) -> Resource | None:
    """The Gateway of Gateway API, as far as it can be seen."""
    if not namespace:
        return None
    sees = cluster.sees(kinds.GATEWAY, namespace)
    return cluster.get(kinds.GATEWAY, namespace, name) if sees else None


def _by_name(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for gateway in cluster[kinds.ISTIO_GATEWAY]:
        found[gateway.name].append(gateway)
    return found
