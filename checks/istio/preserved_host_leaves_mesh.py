"""An injected ingress controller whose requests its own sidecar does not recognise."""

from collections.abc import Iterator

from gwdoctor import Change, Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, istio_hosts, istio_mesh, istio_mtls, outside_callers

_VHOST = "nginx.ingress.kubernetes.io/upstream-vhost"
_NGINX_BY_SERVICE = "nginx.ingress.kubernetes.io/service-upstream"
_KONG_BY_SERVICE = "ingress.kubernetes.io/service-upstream"
_KONG_PRESERVE = "konghq.com/preserve-host"
_KONG_HOST = "konghq.com/host-header"


class PreservedHostLeavesMesh(Probe):
    """Requests of the ingress controller leave the mesh in plaintext.

    The controller has a sidecar, but keeps the client's Host. For ports declared as HTTP a
    sidecar routes by Host alone, whatever address was dialled: a host that the mesh does not
    know goes to PassthroughCluster, in plaintext, and a backend in mode STRICT closes it
    (`filter_chain_not_found`); under REGISTRY_ONLY it is answered 502. Dialling Pods instead of
    the Service, as ingress-nginx and Kong do by default, ends in PassthroughCluster too, as no
    Service has the Pod's address.

    Not a problem where the port is declared `tcp` or nothing and the Service's own address is
    dialled, where the Host is rewritten to the Service's, or where a ServiceEntry or a mesh
    VirtualService makes the client's host known.

    ```sh
    kubectl logs -n NAMESPACE CONTROLLER_POD -c istio-proxy | grep PassthroughCluster
    ```

    Source: istio 1.32 pilot/pkg/networking/core (outbound listeners, route domains), run in
    its xDS simulator; kubernetes/ingress-nginx#3171, Kong/kubernetes-ingress-controller#1051.

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: istio-system}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      rules:
      - host: shop.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      namespace: shop
      labels: {app: web, security.istio.io/tlsMode: istio}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: ingress-nginx-controller-1
      namespace: ingress-nginx
      labels: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}
      annotations: {sidecar.istio.io/status: injected}
    ```

    ```yaml fixed
    metadata:
      annotations:
        nginx.ingress.kubernetes.io/service-upstream: "true"
        nginx.ingress.kubernetes.io/upstream-vhost: web.shop.svc.cluster.local
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS,)
    needs = (
        kinds.INGRESS_CLASS,
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.SERVICE_ENTRY,
        kinds.VIRTUAL_SERVICE,
        kinds.CONFIG_MAP,
    )
    symptoms = (
        "502 Bad Gateway",
        "PassthroughCluster",
        "filter_chain_not_found",
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "NR filter_chain_not_found",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An Ingress whose backends its controller's sidecar does not recognise."""
        if ingress.is_acme_solver(route):
            return
        lost = []
        for call in outside_callers.calls(route, cluster):
            if call.caller.membership != "all":
                continue
            receiver = istio_mtls.receiver(cluster, call.service, call.port)
            strict = receiver.mode("STRICT") if receiver is not None else None
            meshed = receiver is not None and receiver.membership in ("all", "some")
            closed = istio_mesh.mesh(cluster).registry_only or (meshed and strict is not None)
            if closed and _is_lost(call, cluster):
                lost.append((call, strict if meshed else None))
        if not lost:
            return
        call, strict = lost[0]
        by_service = _dials_service(call)
        end = "PeerAuthentication mode STRICT closes it" if strict else "REGISTRY_ONLY refuses it"
        yield self.finding(
            _spot(call),
            f"{call.caller.name} sends to {'Service' if by_service else 'the Pods of'} "
            f"{call.service.name} with Host {call.host or 'of the client'}, which its sidecar "
            f"does not know: it goes out in plaintext, and {end}",
            because=(
                *(() if strict is None or strict.field is None else (strict.field,)),
                *dict.fromkeys(c.field for c, _ in lost),
                *call.caller.pods[:1],
            ),
            fix=_fix(route, [c for c, _ in lost], cluster),
            advice="Make the controller dial the Service's address with the Service's name as "
            "Host; or make the client's host known to the mesh with a ServiceEntry and a mesh "
            "VirtualService for this port; or declare the port as tcp",
        )


def _spot(call: outside_callers.Call) -> Field:
    """The annotation that would rewrite the Host, or the backend."""
    if _is_nginx(call):
        return call.route.at("metadata", "annotations", _VHOST)
    if call.caller.name == "Kong":
        return call.route.at("metadata", "annotations", _KONG_PRESERVE)
    return call.field


def _is_nginx(call: outside_callers.Call) -> bool:
    return call.caller.name == "ingress-nginx"


def _dials_service(call: outside_callers.Call) -> bool:
    """Whether the controller is told to dial the Service's address, not its Pods'."""
    route, service = call.route, call.service
    if _is_nginx(call):
        return route.annotation(_NGINX_BY_SERVICE) == "true"
    return call.caller.name == "Kong" and service.annotation(_KONG_BY_SERVICE) == "true"


def _sent_host(call: outside_callers.Call) -> str:
    """The Host that the backend is asked for; empty for any the client chooses."""
    if _is_nginx(call):
        return call.route.annotation(_VHOST) or call.host
    if call.caller.name == "Kong":
        return call.service.annotation(_KONG_HOST) or call.host
    return call.host


def _is_lost(call: outside_callers.Call, cluster: Cluster) -> bool:
    by_service = _dials_service(call)
    if by_service and istio_mesh.protocol(call.port) not in istio_mesh.HTTP:
        return False  # chosen by address
    if _sent_host(call) != call.host or call.route.annotation(_KONG_PRESERVE) == "false":
        return not by_service and not istio_hosts.has_http_port(
            cluster, istio_mtls.target_port(cluster, call.service, call.port)
        )
    if not call.host:
        return True
    return not istio_hosts.is_known_to_mesh(call.host, cluster)


def _fix(route: Resource, lost: list[outside_callers.Call], cluster: Cluster) -> Fix | None:
    """Where the Ingress has one backend, the annotations that make the controller say its name."""
    call = lost[0]
    if len({backend.service for backend in ingress.backends(route)}) > 1:
        return None
    if istio_mesh.protocol(call.port) not in istio_mesh.HTTP:
        return None
    name = istio_mesh.host_of(call.service, cluster)
    changes: tuple[Change, ...] = ()
    if _is_nginx(call):
        changes = (
            route.changed("metadata", "annotations", _NGINX_BY_SERVICE, to="true").changed(
                "metadata", "annotations", _VHOST, to=name
            ),
        )
    elif call.caller.name == "Kong":
        changes = (
            route.changed("metadata", "annotations", _KONG_PRESERVE, to="false"),
            call.service.changed("metadata", "annotations", _KONG_BY_SERVICE, to="true").changed(
                "metadata", "annotations", _KONG_HOST, to=name
            ),
        )
    if not changes:
        return None
    return Fix("Dial the Service by its own name", changes, needs_review=True)
