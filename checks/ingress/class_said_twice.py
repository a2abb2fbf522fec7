"""Annotation and field, and two controllers that each believe another one of them."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong_annotations


class ClassSaidTwice(Probe):
    """An Ingress names two classes: both controllers serve it, or neither.

    Where `kubernetes.io/ingress.class` and `spec.ingressClassName` differ, Kong follows the
    annotation and ingress-nginx the field. With `nginx` in the annotation and `kong` in the
    field nobody serves the Ingress; the other way round both do. The API server refuses such
    an Ingress on creation only, so an update brings it about.

    Not a problem where both say the same.

    ```sh
    kubectl -n NAMESPACE get ingress NAME -o yaml | grep -i 'ingress.\\?class'
    ```

    Source: ingress-nginx internal/ingress/controller/store/store.go (1.15); KIC internal/store (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, annotations: {kubernetes.io/ingress.class: nginx}}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = (
        "default backend - 404",
        "no Route matched with those values",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Two different classes on one Ingress."""
        annotation, field = ingress.class_annotation(subject), ingress.class_field(subject)
        if not annotation.text() or not field.text() or annotation.text() == field.text():
            return
        told = {ingress.controller_of(name, cluster) for name in (annotation.text(), field.text())}
        serving = [
            name
            for name, controller in (("Kong", ingress.KONG), ("ingress-nginx", ingress.NGINX))
            if ingress.served_class(subject, cluster, controller)
        ]
        severity = Severity.MEDIUM
        who = "which one counts is the controller's choice"
        if told == {ingress.KONG, ingress.NGINX}:
            severity = Severity.HIGH if serving else Severity.CRITICAL
            who = f"{' and '.join(serving)} serve it" if serving else "no controller serves it"
        key = ingress.CLASS_ANNOTATION
        command = kong_annotations.annotate(
            kinds.INGRESS, subject.namespace, subject.name, f"{key}-"
        )
        yield self.finding(
            annotation,
            f"the annotation says {annotation.text()}, the field {field.text()}: {who}",
            root=subject,
            severity=severity,
            because=(field,),
            fix=Fix(
                f"Keep the field ({field.text()}) and take the annotation away",
                needs_review=True,
                commands=(command,),
            ),
        )
