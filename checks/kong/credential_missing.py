"""A consumer whose key is not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds


class CredentialMissing(Probe):
    """A consumer of Kong gets 401: the Secret with its credential is missing.

    `credentials` of a KongConsumer names Secrets of its own namespace.

    Not a problem for Secrets that cannot be read here: they are not taken for missing.

    ```sh
    kubectl -n NAMESPACE get kongconsumer NAME -o jsonpath='{.credentials}'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5), credentials.

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    metadata: {name: alice, namespace: shop, annotations: {kubernetes.io/ingress.class: kong}}
    username: alice
    credentials: [alice-key]
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.KONG_CONSUMER,)
    needs = (kinds.SECRET,)
    symptoms = ("failure: Failed to fetch secret", "401 Unauthorized")

    def check(self, consumer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Names that lead to no Secret."""
        for i, name in enumerate(consumer.texts("credentials")):
            if cluster.get(kinds.SECRET, consumer.namespace, name) is None:
                yield self.finding(
                    consumer.at("credentials", i),
                    f"there is no Secret {name} in namespace {consumer.namespace}",
                    root=consumer,
                    advice="Make the Secret, with the label konghq.com/credential, or correct the "
                    "name",
                )
