"""A consumer is a name."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds


class ConsumerWithoutName(Probe):
    """Kong drops a consumer: it has neither username nor custom_id.

    The name of the KongConsumer object is not the name of the consumer. Today's CRD refuses
    such an object; older ones did not, and what is stored stays.

    Not a problem with one of the two.

    ```sh
    kubectl get kongconsumer -A -o custom-columns='NAME:.metadata.name,USERNAME:.username,CUSTOM:.custom_id'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5), consumers.

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    metadata: {name: alice, namespace: shop, annotations: {kubernetes.io/ingress.class: kong}}
    ```

    ```yaml fixed
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    username: alice
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.KONG_CONSUMER,)
    symptoms = ("no username or custom_id specified",)

    def check(self, consumer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A consumer without either name."""
        if consumer.text("username") or consumer.text("custom_id"):
            return
        yield self.finding(
            consumer.at("username"),
            "this consumer has no username and no custom_id: Kong drops it",
            fix=Fix(
                "Name it as its object is named",
                (consumer.changed("username", to=consumer.name),),
                needs_review=True,
            ),
        )
