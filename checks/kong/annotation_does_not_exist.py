"""Keys that blog posts made up, that were dropped, or that are spelt wrongly."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong_annotations


class AnnotationDoesNotExist(Probe):
    """A konghq.com annotation is ignored: Kong has no such key.

    Kong ignores unknown keys without an event or a log line, so a plugin named under
    `konghq.com/plugin` protects nothing. `konghq.com/backend-protocol` and `konghq.com/verify`
    are found in many posts and in no release. An unknown key is not even harmless: where
    several Services share a rule, one that differs takes the whole rule away.

    Not a problem where a later release of Kong reads the key: only keys that are known not to
    exist, and near misses of those that do, are reported here.

    ```sh
    kubectl get ingress,service,httproute -A -o yaml | grep -o 'konghq.com/[a-z-]*' | sort | uniq -c
    ```

    Source: Kong/kubernetes-ingress-controller internal/annotations/annotations.go (3.5).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {konghq.com/plugin: key-auth}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ---
    apiVersion: configuration.konghq.com/v1
    kind: KongPlugin
    metadata: {name: key-auth, namespace: shop}
    plugin: key-auth
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.LIKELY
    subjects = kong_annotations.HOLDERS
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("Client sent an HTTP request to an HTTPS server",)

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Keys that Kong does not have and that stand for one it has."""
        annotations = holder.annotations
        meant = [
            (key, kong_annotations.meant_by(key)) for key in annotations if "konghq.com" in key
        ]
        if not meant or (
            holder.ref.kind == kinds.INGRESS and ingress.is_foreign(holder, cluster, ingress.KONG)
        ):
            return
        for key, instead in meant:
            if instead is None:
                continue
            right = kong_annotations.PREFIX + instead.instead
            here = kong_annotations.reads(holder.ref.kind, instead.instead)
            value = annotations[key]
            command = kong_annotations.annotate(
                holder.ref.kind, holder.namespace, holder.name, f"{right}={value}", f"{key}-"
            )
            yield self.finding(
                holder.at("metadata", "annotations", key),
                f"Kong has no annotation {key}; {right} on {instead.on} is the one it reads",
                root=holder,
                severity=instead.severity,
                fix=Fix(f"Rename it to {right}", needs_review=True, commands=(command,))
                if here and right not in annotations
                else None,
                advice=f"Remove it; if the effect is wanted, set {right} on {instead.on}",
            )
