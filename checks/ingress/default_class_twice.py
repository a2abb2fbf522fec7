"""Two defaults."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Severity, Skip, kinds
from gwdoctor.resolve import ingress, kong_annotations


class DefaultClassTwice(Probe):
    """Ingresses without a class change hands: two classes are the default.

    Since Kubernetes 1.26 the newest default IngressClass is written into new Ingresses that
    name none; before, such Ingresses were refused. Who installs a second controller with a
    default class takes all later Ingresses without a class away from the first.

    Not a problem with one default class, or with none where every Ingress names its class.

    ```sh
    kubectl get ingressclass -o custom-columns='NAME:.metadata.name,DEFAULT:.metadata.annotations.ingressclass\\.kubernetes\\.io/is-default-class'
    ```

    Source: Kubernetes plugin/pkg/admission/network/defaultingressclass (1.26).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: kong, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
    spec: {controller: ingress-controllers.konghq.com/kong}
    ```
    """

    severity = Severity.MEDIUM
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS_CLASS,)
    symptoms = (
        "default backend - 404",
        "no Route matched with those values",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """All default classes but the newest, which wins."""
        found = [c for c in cluster[kinds.INGRESS_CLASS] if ingress.is_default(c)]
        if len(found) < 2:
            return
        *losers, winner = sorted(found, key=lambda c: (c.created, c.name))
        annotations = [c.at("metadata", "annotations", ingress.DEFAULT_ANNOTATION) for c in losers]
        names = ", ".join(loser.name for loser in losers)
        yield self.finding(
            annotations[0],
            f"{names} and {winner.name} are both the default class; new Ingresses without a class "
            f"go to {winner.name}",
            root=losers[0],
            because=(*annotations[1:], winner),
            fix=Fix(
                f"Leave {winner.name} as the only default",
                needs_review=True,
                commands=tuple(
                    kong_annotations.annotate(
                        kinds.INGRESS_CLASS, "", loser.name, f"{ingress.DEFAULT_ANNOTATION}-"
                    )
                    for loser in losers
                ),
            ),
        )
