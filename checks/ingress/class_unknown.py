"""A class that nobody answers to."""

import difflib
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress

#: Names to which controllers answer without an IngressClass object.
_WITHOUT_OBJECT = frozenset(
    {
        *("kong", "nginx", "gce", "gce-internal", "alb", "traefik", "haproxy", "contour", "istio"),
        *("azure/application-gateway", "azure-application-gateway", "cilium", "openshift-default"),
    }
)


class ClassUnknown(Probe):
    """No controller serves an Ingress: there is no class of that name.

    An Ingress of an unknown class is accepted by the API server and served by nobody. The
    annotation `kubernetes.io/ingress.class` is looser than the field: controllers compare it
    with a flag of theirs, and no IngressClass is needed, so an unknown name there is only
    likely to be wrong.

    Not a problem where a controller has put an address into the status, or for the annotation
    with a name that a controller uses by itself (nginx, kong, alb, gce, ...).

    ```sh
    kubectl get ingressclass; kubectl get ingress -A
    ```

    Source: Kubernetes networking/v1 IngressSpec; ingress-nginx store.go (1.15); KIC internal/store.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginxx
      defaultBackend: {service: {name: shop, port: {number: 80}}}
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
    symptoms = (
        "default backend - 404",
        "no Route matched with those values",
    )

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A class without an object, by the field or by the annotation."""
        if ingress.is_served(subject) or ingress.is_acme_solver(subject):
            return
        annotation, field = ingress.class_annotation(subject), ingress.class_field(subject)
        if field.text() and annotation.text() and field.text() != annotation.text():
            return  # ingress/class-said-twice
        named = field if field.text() else annotation
        if not named.text() or cluster.get(kinds.INGRESS_CLASS, "", named.text()) is not None:
            return
        if named == annotation and annotation.text() in _WITHOUT_OBJECT:
            return
        if field.text() == "kong":  # Kong compares the name only
            return
        classes = sorted(found.name for found in cluster.every(kinds.INGRESS_CLASS))
        known = sorted({*classes, *(_WITHOUT_OBJECT if named == annotation else ())})
        close = difflib.get_close_matches(named.text(), known, n=1, cutoff=0.75)
        sure = named == field or bool(close)
        yield self.finding(
            named,
            f"there is no IngressClass {named.text()}"
            + (f" ({close[0]} is close)" if close else ""),
            root=subject,
            severity=Severity.CRITICAL if sure else Severity.MEDIUM,
            confidence=Confidence.LIKELY if sure else Confidence.POSSIBLE,
            fix=Fix(
                f"Name the class {close[0]}",
                (subject.changed(*named.path, to=close[0]),),
                needs_review=True,
            )
            if close
            else None,
            advice=""
            if close
            else f"Name a class that exists ({', '.join(classes) or 'there is none yet'}), or "
            "install its controller",
        )
