"""One default backend for all of Kong."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, Skip, kinds
from gwdoctor.resolve import ingress, kong


class DefaultBackendShadowed(Probe):
    """A default backend of Kong gets no request: an older Ingress has one.

    `spec.defaultBackend` is not a default for the hosts of its Ingress: Kong makes one
    catch-all route of the class, from the **oldest** Ingress that has one, and ignores the
    others.

    Not a problem for different classes, or where both lead to the same Service and port.

    ```sh
    kubectl get ingress -A -o jsonpath='{range .items[?(@.spec.defaultBackend)]}{.metadata.namespace}/{.metadata.name} {.metadata.creationTimestamp}{"\\n"}{end}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/translator/translate_ingress.go (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: one, namespace: shop}
    spec: {ingressClassName: kong, defaultBackend: {service: {name: one, port: {number: 80}}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: two, namespace: shop}
    spec: {ingressClassName: kong, defaultBackend: {service: {name: two, port: {number: 80}}}}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.LIKELY
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("no Route matched with those values",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Ingresses with a default backend, by class and age."""
        groups: dict[str, list[Resource]] = defaultdict(list)
        for subject in kong.ingresses(cluster):
            if subject.has("spec", "defaultBackend"):
                owner = ingress.served_class(subject, cluster, ingress.KONG)
                groups[owner].append(subject)
        for subjects in groups.values():
            first, *rest = sorted(subjects, key=lambda s: (s.created, s.ref))
            for other in rest:
                if _target(other) == _target(first):
                    continue
                yield self.finding(
                    other.at("spec", "defaultBackend"),
                    f"{first.ref} is older and has a default backend too: this one gets no request",
                    root=other,
                    because=(first.at("spec", "defaultBackend"),),
                    advice="Write the backend as a rule of this Ingress's hosts (path /, Prefix), "
                    "or keep one default backend for the class",
                )


def _target(subject: Resource) -> tuple[object, ...]:
    backend = next(ingress.backends(subject))
    return subject.namespace, backend.service, backend.port
