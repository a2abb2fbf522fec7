"""Annotations that stayed behind in a migration."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress

_NGINX, _KONG = "nginx.ingress.kubernetes.io/", "konghq.com/"
_OWNERS = {
    _NGINX: ("ingress-nginx", ingress.NGINX),
    _KONG: ("Kong", ingress.KONG),
    "alb.ingress.kubernetes.io/": ("the AWS Load Balancer Controller", "ingress.k8s.aws/alb"),
    "traefik.ingress.kubernetes.io/": ("Traefik", "traefik.io/ingress-controller"),
    "haproxy.org/": ("HAProxy", "haproxy.org/ingress-controller/haproxy"),
}
#: Keys that keep somebody out: without effect, they let everybody in.
_GUARDS = ("auth-", "whitelist-source-range", "denylist-source-range", "allowlist", "plugins")
#: What Kong has instead, where it has something.
_IN_KONG = {
    "backend-protocol": "konghq.com/protocol on the Service",
    "rewrite-target": "konghq.com/rewrite or the request-transformer plugin",
    "ssl-redirect": "konghq.com/protocols: https with konghq.com/https-redirect-status-code",
    "force-ssl-redirect": "konghq.com/protocols: https with konghq.com/https-redirect-status-code",
    "proxy-body-size": "the request-size-limiting plugin",
    "whitelist-source-range": "the ip-restriction plugin",
    "proxy-read-timeout": "konghq.com/read-timeout on the Service, in milliseconds",
    "proxy-send-timeout": "konghq.com/write-timeout on the Service, in milliseconds",
    "proxy-connect-timeout": "konghq.com/connect-timeout on the Service, in milliseconds",
    "enable-cors": "the cors plugin",
    "limit-rps": "the rate-limiting plugin",
}


class AnnotationOfAnotherController(Probe):
    """Annotations are ignored: they are those of another controller.

    Each controller reads its own prefix and none warns about the others', so after a change of
    class an Ingress loses what its annotations gave it: TLS towards the backend, redirects,
    timeouts, and, worst, authentication and address lists. No controller of Gateway API reads
    `nginx.ingress.kubernetes.io` on an HTTPRoute.

    Not a problem where the controller of that prefix serves the Ingress as well, or where the
    controller of the class is not known here.

    ```sh
    kubectl -n NAMESPACE get ingress NAME -o jsonpath='{.metadata.annotations}'
    ```

    Source: ingress-nginx internal/ingress/annotations (1.15); KIC internal/annotations (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS, kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("Client sent an HTTP request to an HTTPS server",)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One finding for each foreign prefix."""
        keys = tuple(subject.annotations)
        if not any(key.startswith(tuple(_OWNERS)) for key in keys):
            return
        is_ingress = subject.ref.kind == kinds.INGRESS
        serving = _serving(subject, cluster) if is_ingress else {"Gateway API"}
        if not serving:
            return
        for prefix, (owner, controller) in _OWNERS.items():
            lost = [key for key in keys if key.startswith(prefix)]
            if not lost or controller in serving or (prefix == _KONG and not is_ingress):
                continue
            guards = [key for key in lost if key.removeprefix(prefix).startswith(_GUARDS)]
            first = (guards or lost)[0]
            who = ", ".join(sorted(_name(controller) for controller in serving))
            yield self.finding(
                subject.at("metadata", "annotations", first),
                f"{', '.join(key.removeprefix(prefix) for key in lost)}: read by {owner}, "
                f"and this {subject.ref.kind.name} belongs to {who}",
                root=subject,
                severity=Severity.HIGH if guards else Severity.MEDIUM,
                because=tuple(
                    subject.at("metadata", "annotations", key) for key in lost if key != first
                ),
                advice=_instead(prefix, lost, serving),
            )


def _serving(subject: Resource, cluster: Cluster) -> set[str]:
    """The controllers of its class or classes, those that are known here."""
    annotation, field = (
        ingress.class_annotation(subject).text(),
        ingress.class_field(subject).text(),
    )
    named = {ingress.controller_of(name, cluster) for name in (annotation, field) if name}
    known = {controller for _, controller in _OWNERS.values()}
    return named if named and named <= known else set()


def _name(controller: str) -> str:
    return next((name for name, owned in _OWNERS.values() if owned == controller), controller)


def _instead(prefix: str, lost: list[str], serving: set[str]) -> str:
    if prefix == _NGINX and ingress.KONG in serving:
        known = [
            f"{key.removeprefix(prefix)}: {_IN_KONG[key.removeprefix(prefix)]}"
            for key in lost
            if key.removeprefix(prefix) in _IN_KONG
        ]
        if known:
            return f"In Kong: {'; '.join(known)}. Then remove the old annotations"
    return "Say the same in the way of the controller that serves it, then remove the annotations"
