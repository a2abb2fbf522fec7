"""Keys that exist, on an object where Kong does not look for them."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Ref, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, ingress, kong_annotations


class AnnotationOnWrongKind(Probe):
    """A konghq.com annotation is ignored: Kong does not read it on this kind.

    What Kong does towards the backend (protocol, path, host-header, timeouts, retries,
    tls-verify, client-cert, upstream-policy) is read on the **Service**; what it does towards
    the client (protocols, strip-path, methods, https-redirect-status-code, ...) on the Ingress
    or route. `konghq.com/protocol` on a route and `konghq.com/protocols` on a Service do
    nothing, plugins on a Gateway protect nothing, and `konghq.com/override` on a Secret
    reloads nothing.

    Not a problem on objects of another controller, which reads none of them.

    ```sh
    kubectl -n NAMESPACE get service,ingress,httproute -o yaml | grep -n 'konghq.com/'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: minio
      namespace: storage
      annotations: {konghq.com/protocol: https}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: minio, port: {number: 9000}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: minio, namespace: storage}
    spec: {selector: {app: minio}, ports: [{port: 9000}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = kong_annotations.HOLDERS
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("Client sent an HTTP request to an HTTPS server",)

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Known keys on a kind that Kong does not read them on."""
        kind = holder.ref.kind
        lost = [
            (short, field)
            for short, field in kong_annotations.of(holder)
            if kong_annotations.is_known(short) and not kong_annotations.reads(kind, short)
        ]
        if not lost or (
            kind == kinds.INGRESS and ingress.is_foreign(holder, cluster, ingress.KONG)
        ):
            return
        for short, field in lost:
            key, home = kong_annotations.PREFIX + short, kong_annotations.home(short)
            guards = short == "plugins"
            yield self.finding(
                field,
                f"Kong does not read {key} on a {kind.name}, only on {home}",
                root=holder,
                severity=Severity.HIGH if guards else Severity.MEDIUM,
                fix=_move(holder, short, field.text(), cluster),
                advice=f"Move {key} to {home}, or remove it",
            )


def _move(holder: Resource, short: str, value: str, cluster: Cluster) -> Fix | None:
    """A move to the one Service behind a route, where there is exactly one, and seen."""
    behind = set(_services(holder))
    if kong_annotations.home(short) != "the Service" or len(behind) != 1:
        return None
    (namespace, name), key = behind.pop(), kong_annotations.PREFIX + short
    if cluster.find(Ref(kinds.SERVICE, namespace, name)) is None:
        return None
    return Fix(
        f"Move {key} to Service {name}",
        needs_review=True,
        commands=(
            kong_annotations.annotate(kinds.SERVICE, namespace, name, f"{key}={value}"),
            kong_annotations.annotate(holder.ref.kind, holder.namespace, holder.name, f"{key}-"),
        ),
    )


def _services(holder: Resource) -> Iterator[tuple[str, str]]:
    if holder.ref.kind == kinds.INGRESS:
        for backend in ingress.backends(holder):
            yield holder.namespace, backend.service
    elif holder.ref.kind in gateway_api.ROUTES:
        for reference in gateway_api.backend_refs(holder):
            yield reference.namespace, reference.name
