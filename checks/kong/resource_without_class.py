"""Kong's own kinds need the old annotation."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong_plugins


class ResourceWithoutClass(Probe):
    """Kong ignores a consumer, cluster plugin or TCP route: it has no class.

    KongConsumer, KongClusterPlugin, TCPIngress and UDPIngress need the annotation
    `kubernetes.io/ingress.class`; there is no field for it. Without it Kong takes them only if
    its IngressClass is the default one. A consumer that is ignored gets 401 with the right
    key; a plugin that is ignored protects nothing.

    Not a problem for KongPlugin, KongUpstreamPolicy and KongIngress, which have no class, or
    with a default class of Kong.

    ```sh
    kubectl get kongconsumer,kongclusterplugin -A -o custom-columns='NAME:.metadata.name,CLASS:.metadata.annotations.kubernetes\\.io/ingress\\.class'
    ```

    Source: Kong/kubernetes-ingress-controller internal/store (3.5).

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    metadata: {name: alice, namespace: shop}
    username: alice
    ```

    ```yaml fixed
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    metadata: {annotations: {kubernetes.io/ingress.class: kong}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (
        kinds.KONG_CONSUMER,
        kinds.KONG_CLUSTER_PLUGIN,
        kinds.TCP_INGRESS,
        kinds.UDP_INGRESS,
    )
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("401 Unauthorized",)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """No class that is Kong's."""
        if kong_plugins.class_of(subject, cluster):
            return
        field, wanted = ingress.class_annotation(subject), kong_plugins.kong_class(cluster)
        yield self.finding(
            field,
            f"class {field.text()} is not Kong's: Kong ignores this {subject.ref.kind.name}"
            if field.text()
            else f"Kong ignores this {subject.ref.kind.name}: it names no class, and Kong's is not "
            "the default",
            root=subject,
            fix=Fix(
                f"Give it the class {wanted}",
                (subject.changed(*field.path, to=wanted),),
                needs_review=True,
            )
            if wanted and not field.text()
            else None,
            advice=f"Set the annotation {ingress.CLASS_ANNOTATION} to the class of the Kong that is "
            "to take it",
        )
