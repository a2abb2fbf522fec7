"""A VirtualService whose hosts the Gateway does not take from it."""

from collections.abc import Iterator, Sequence

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_gateways, istio_mesh
from gwdoctor.resolve import istio_virtual_services as virtual_services
from gwdoctor.resolve.host_index import HostIndex
from gwdoctor.resolve.istio_gateways import Server

_Entry = tuple[str, Server]  #: a host as it is written, and its server


class VirtualServiceHostNotServed(Probe):
    """A VirtualService gets no requests: its Gateway does not take its host.

    Being bound is not enough. A server's host must cover the VirtualService's; `namespace/host`
    admits VirtualServices of that namespace alone, and `./host` those of the Gateway's; and
    `exportTo` must reach the namespace of the gateway *Pods*, where `.` (own namespace only)
    does not. In each case the answer is 404, without a word in any status.

    Not a problem for the host `*`, where another Gateway of the VirtualService serves the host,
    and for names that a VirtualService bound to `mesh` too has for callers inside.

    Check it yourself: the hosts that a gateway knows.

    ```sh
    istioctl proxy-config route -n istio-system deploy/istio-ingressgateway
    ```

    Source: istio 1.32 pilot/pkg/networking/core/gateway.go, pilot/pkg/model/push_context.go; run
    in its traffic simulator. IST0132 compares any host with any, and knows no exportTo.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: public, namespace: istio-system}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: shop}
    spec:
      hosts: [shop.example.com]
      gateways: [istio-system/public]
      exportTo: [.]
      http: [{route: [{destination: {host: shop}}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}}
    ```

    ```yaml fixed
    spec: {exportTo: [., istio-system]}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.VIRTUAL_SERVICE,)
    needs = (kinds.CONFIG_MAP, *istio_gateways.GATEWAYS, *istio_gateways.READS)
    symptoms = ("404 Not Found", "404 NR route_not_found")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Where it may be used at all, then each host."""
        found = [
            gateway
            for reference in virtual_services.gateway_refs(route)
            if reference.name is not None
            and (gateway := cluster.get(kinds.ISTIO_GATEWAY, *reference.name)) is not None
        ]
        if not found:
            return
        homes = sorted({home for g in found for home in cluster.derive(_homes).get(g, ()) if home})
        if homes and not any(istio_mesh.is_exported(route, home, cluster) for home in homes):
            yield self._not_exported(route, homes)
            return
        indexes = [cluster.derive(_servers).get(gateway) for gateway in found]
        served = [index for index in indexes if index is not None]
        if served:
            yield from self._hosts(route, found, served)

    def _not_exported(self, route: Resource, homes: Sequence[str]) -> Finding:
        written = list(route.texts("spec", "exportTo"))
        shown = f"to {', '.join(written)}" if written else "as the mesh's default says"
        change = route.changed("spec", "exportTo", to=[*(written or ["."]), *homes])
        fix = Fix(f"Export it to {', '.join(homes)} too", (change,), needs_review=True)
        return self.finding(
            route.at("spec", "exportTo"),
            f"it is exported {shown}, and the gateway Pods are in {', '.join(homes)}",
            root=route,
            fix=fix if "~" not in written else None,
            advice="" if "~" not in written else f"Export it to {', '.join(homes)}",
        )

    def _hosts(
        self, route: Resource, gateways: Sequence[Resource], served: Sequence[HostIndex[_Entry]]
    ) -> Iterator[Finding]:
        unserved = []
        reserved: list[_Entry] = []
        for number, host in enumerate(virtual_services.hosts_of(route)):
            fitting = (
                entry
                for index in served
                for pattern in index.overlapping(host)
                for entry in index.at(pattern)
            )
            refused = []
            for literal, server in fitting:
                if virtual_services.admits(literal, route.namespace):
                    break
                refused.append((literal, server))
            else:
                unserved.append(number)
                reserved += refused
        every = len(unserved) == len(virtual_services.hosts_of(route))
        if not unserved or (virtual_services.is_bound_to_mesh(route) and not every):
            return
        names = ", ".join(route.texts("spec", "hosts")[number] for number in unserved)
        owners = ", ".join(dict.fromkeys(str(gateway.ref) for gateway in gateways))
        message = f"no server of {owners} has the host {names}"
        advice = "Add the host to a server whose certificate covers it, or correct it here"
        because = tuple(gateway.at("spec", "servers") for gateway in gateways)
        if reserved:
            literal, server = reserved[0]
            message = (
                f"{server.owner.ref} has the host {literal}, which takes no routes of namespace "
                f"{route.namespace}"
            )
            advice = f"Admit them with {route.namespace}/ or */ before the host, or move the routes"
            because = tuple(dict.fromkeys(s.field.at("hosts") for _, s in reserved[:5]))
        yield self.finding(
            route.at("spec", "hosts", unserved[0]),
            message,
            root=route,
            severity=_severity(route, every),
            because=because,
            advice=advice,
        )


def _severity(route: Resource, every: bool) -> Severity:
    if virtual_services.is_bound_to_mesh(route):
        return Severity.MEDIUM
    return Severity.CRITICAL if every else Severity.HIGH


def _servers(cluster: Cluster) -> dict[Resource, HostIndex[_Entry]]:
    """The hosts of each classic Gateway, as they are written, by name."""
    found: dict[Resource, HostIndex[_Entry]] = {}
    for gateway in cluster[kinds.ISTIO_GATEWAY]:
        for server in istio_gateways.servers_of(gateway):
            index = found.setdefault(gateway, HostIndex())
            for literal in server.hosts:
                index.add(literal.rpartition("/")[2].lower(), (literal, server))
    return found


def _homes(cluster: Cluster) -> dict[Resource, list[str]]:
    """The namespaces of the Pods that each Gateway programs; "" where they are not seen."""
    found: dict[Resource, list[str]] = {}
    for workload in istio_gateways.workloads(cluster):
        for gateway in {server.owner: None for server in workload.servers}:
            found.setdefault(gateway, []).append(workload.namespace)
    return found
