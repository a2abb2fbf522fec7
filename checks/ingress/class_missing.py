"""No class, no controller."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress


class ClassMissing(Probe):
    """No controller serves an Ingress: it names no class, and none is default.

    `spec.ingressClassName`, the annotation `kubernetes.io/ingress.class` and a default
    IngressClass are all absent, and today's controllers leave such an Ingress alone: its hosts
    answer 404 with the controller's default backend. A default class is written into the field
    when the Ingress is created, so making one default later does not help older Ingresses of
    every controller.

    Not a problem where a controller has put an address into the Ingress's status (some, such
    as that of GKE, or ingress-nginx with `--watch-ingress-without-class`, do serve it).

    ```sh
    kubectl get ingressclass; kubectl -n NAMESPACE get ingress NAME
    ```

    Source: Kubernetes networking/v1 IngressSpec; KIC internal/store (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ```

    ```yaml fixed
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    spec: {ingressClassName: nginx}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("default backend - 404", "no Route matched with those values")

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An Ingress without a class that nobody has taken."""
        if (
            ingress.class_annotation(subject).text()
            or ingress.class_field(subject).text()
            or ingress.is_served(subject)
            or ingress.default_class(cluster) is not None
        ):
            return
        classes = sorted(found.name for found in cluster.every(kinds.INGRESS_CLASS))
        field = ingress.class_field(subject)
        yield self.finding(
            field,
            "this Ingress names no class, and no IngressClass is the default",
            root=subject,
            fix=Fix(
                f"Give it the class {classes[0]}, the only one there is",
                (subject.changed(*field.path, to=classes[0]),),
                needs_review=True,
            )
            if len(classes) == 1
            else None,
            advice=f"Set spec.ingressClassName to one of {', '.join(classes)}"
            if classes
            else "There is no IngressClass either: install a controller, or make one for the "
            "controller that runs",
        )
