"""A key that Kong cannot read."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong_annotations, kong_plugins

_REQUIRED = {
    "key-auth": ("key",),
    "basic-auth": ("username", "password"),
    "hmac-auth": ("username", "secret"),
    "jwt": ("algorithm", "key"),
    "acl": ("group",),
    "mtls-auth": ("subject_name",),
    "oauth2": ("name", "client_id", "client_secret", "redirect_uris"),
}


class CredentialUnusable(Probe):
    """A consumer of Kong gets 401: its credential lacks a label or a key.

    A credential is a Secret with the **label** `konghq.com/credential: TYPE` (since 3.2 the
    data key `kongCredType` is not read any more) and the keys of its type: `key` for key-auth,
    `username` and `password` for basic-auth, and so on. Values are not looked at here.

    Not a problem for Secrets that no KongConsumer names, or for the type `konnect`.

    ```sh
    kubectl -n NAMESPACE get secret NAME --show-labels
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5), credentials.

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongConsumer
    metadata: {name: alice, namespace: shop, annotations: {kubernetes.io/ingress.class: kong}}
    username: alice
    credentials: [alice-key]
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: alice-key, namespace: shop}
    stringData: {key: example}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.KONG_CONSUMER,)
    needs = (kinds.SECRET,)
    symptoms = ("lacks konghq.com/credential label", "401 Unauthorized")

    def check(self, consumer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Secrets that exist and that Kong does not take."""
        for i, name in enumerate(consumer.texts("credentials")):
            secret = cluster.get(kinds.SECRET, consumer.namespace, name)
            if secret is not None:
                yield from self._judge(secret, consumer.at("credentials", i))

    def _judge(self, secret: Resource, because: Field) -> Iterator[Finding]:
        label = secret.at("metadata", "labels", kong_plugins.CREDENTIAL_LABEL)
        keys = set(secret.texts("keys")) - set(secret.texts("emptyKeys"))
        types = ", ".join(_REQUIRED)
        if not label.text():
            fitting = [kind for kind, wanted in _REQUIRED.items() if keys == set(wanted)]
            fix = _labelled(secret, fitting[0]) if len(fitting) == 1 else None
            yield self.finding(
                label,
                f"Secret {secret.name} lacks the label {kong_plugins.CREDENTIAL_LABEL}",
                root=secret,
                because=(because,),
                fix=fix,
                advice="" if fix else f"Label it with its type: {types}",
            )
        elif label.text() in _REQUIRED:
            missing = [key for key in _REQUIRED[label.text()] if key not in keys]
            if missing:
                yield self.finding(
                    secret.at("data"),
                    f"a {label.text()} credential needs {', '.join(missing)}, which Secret "
                    f"{secret.name} does not have",
                    root=secret,
                    because=(because, label),
                    advice=f"Add {', '.join(missing)} to the Secret",
                )
        elif label.text() != "konnect":
            yield self.finding(
                label,
                f"Kong has no credential type {label.text()}",
                root=secret,
                because=(because,),
                advice=f"Label it with one of {types}",
            )


def _labelled(secret: Resource, kind: str) -> Fix:
    command = kong_annotations.label(secret, f"{kong_plugins.CREDENTIAL_LABEL}={kind}")
    title = f"Label it as {kind}, which its keys fit"
    return Fix(title, needs_review=True, commands=(command,))
