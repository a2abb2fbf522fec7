"""Two Ingresses, one host and path."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, Skip, kinds
from gwdoctor.resolve import ingress

#: Here each Ingress, or group of them, has a load balancer of its own.
_APART = frozenset(("ingress.k8s.aws/alb", "k8s.io/ingress-gce"))
_APART_NAMES = frozenset(("alb", "gce", "gce-internal"))
#: With these a path of Kong's is not the same as another one.
_KONG_MATCHES = ("methods", "snis", "protocols", "headers.")


class PathClaimedTwice(Probe):
    """Requests go to the wrong backend: two Ingresses claim one path.

    Controllers merge the Ingresses of a class, whatever namespace they are in. Where two of
    them have the same host, path and path type and different backends, one gets all the
    requests: of ingress-nginx the older one, of Kong whichever route it finds first. A copy of
    a namespace (staging from production) is the usual cause.

    Not a problem for the same backend twice, other classes, cert-manager's solvers,
    ingress-nginx canaries, routes of Kong that differ in methods or headers, and controllers
    that make a load balancer for each Ingress (ALB, GCE).

    ```sh
    kubectl get ingress -A -o custom-columns='NS:.metadata.namespace,NAME:.metadata.name,HOSTS:.spec.rules[*].host,PATHS:.spec.rules[*].http.paths[*].path'
    ```

    Source: ingress-nginx internal/ingress/controller/controller.go (1.15); KIC translator (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: production}
    spec:
      ingressClassName: nginx
      rules:
      - host: shop.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: staging}
    spec:
      ingressClassName: nginx
      rules:
      - host: shop.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("the wrong site answers",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Group paths by class, host, path and type; the oldest Ingress keeps its own."""
        claims: dict[tuple[object, ...], list[ingress.Backend]] = defaultdict(list)
        for subject in cluster[kinds.INGRESS]:
            shared = _shared_by(subject, cluster)
            if shared is None:
                continue
            for backend in ingress.backends(subject):
                if backend.path is not None and backend.service:
                    path = backend.path.text("path") or "/"
                    path_type = backend.path.text("pathType")
                    claims[(*shared, backend.host, path, path_type)].append(backend)
        for (*_, host, where, _type), backends in claims.items():
            first, *rest = sorted(backends, key=lambda b: (b.ingress.created, b.ingress.ref))
            told = {first.ingress.ref}
            for other in rest:
                if other.ingress.ref in told or _target(other) == _target(first):
                    continue
                told.add(other.ingress.ref)
                yield self.finding(
                    other.field,
                    f"{host or 'any host'}{where} is also claimed by {first.ingress.ref}, "
                    f"for Service {first.service}",
                    root=other.ingress,
                    because=(first.field,),
                    advice="Take the path away from one of the two, give one another host, or "
                    "another class",
                )


def _shared_by(subject: Resource, cluster: Cluster) -> tuple[object, ...] | None:
    """What Ingresses must have in common to meet on one listener; None for those that never do."""
    name = ingress.class_field(subject).text() or ingress.class_annotation(subject).text()
    controller = ingress.controller_of(name, cluster) if name else ""
    canary = subject.annotation("nginx.ingress.kubernetes.io/canary") == "true"
    if controller in _APART or name in _APART_NAMES or canary or ingress.is_acme_solver(subject):
        return None
    if subject.annotation("nginx.org/mergeable-ingress-type"):
        return None
    annotations = subject.annotations.items()
    matches = sorted(
        (key, value)
        for key, value in annotations
        if key.startswith(tuple(f"konghq.com/{match}" for match in _KONG_MATCHES))
    )
    return name, tuple(matches) if controller == ingress.KONG else ()


def _target(backend: ingress.Backend) -> tuple[object, ...]:
    return backend.ingress.namespace, backend.service, backend.port
