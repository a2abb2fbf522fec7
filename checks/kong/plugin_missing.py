"""Plugins that are named and not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong_plugins


class PluginMissing(Probe):
    """Kong serves without a plugin that is asked for: it does not exist.

    `konghq.com/plugins` names **KongPlugin objects** of the same namespace (or KongClusterPlugin
    objects), not plugins of Kong: `key-auth` works only where an object has that name. The
    route goes on without it, so what should ask for a key asks for nothing.

    Not a problem on an Ingress of another controller. A plugin of another namespace is written
    `namespace:name` and needs a ReferenceGrant there (kong/plugin-without-grant).

    ```sh
    kubectl -n NAMESPACE get kongplugin; kubectl get kongclusterplugin
    kubectl get events -A --field-selector reason=KongConfigurationTranslationFailed
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5), plugins.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/plugins: key-auth}}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = kong_plugins.HOLDERS
    needs = (kinds.KONG_PLUGIN, kinds.KONG_CLUSTER_PLUGIN, kinds.INGRESS_CLASS)
    symptoms = (
        "referenced KongPlugin or KongClusterPlugin",
        "KongPlugin or KongClusterPlugin ... does not exist",
    )

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Names in the annotation that lead to no object."""
        missing = [
            reference
            for reference in kong_plugins.references(holder)
            if kong_plugins.plugin_of(reference, cluster) is None
        ]
        if not missing:
            return
        if holder.ref.kind == kinds.INGRESS and ingress.is_foreign(holder, cluster, ingress.KONG):
            return
        for reference in missing:
            where = f"in namespace {reference.namespace}"
            yield self.finding(
                reference.field,
                f"there is no KongPlugin {reference.name} {where}"
                + ("" if reference.is_remote else f", and no KongClusterPlugin {reference.name}"),
                root=holder,
                marker=str(reference),
                advice=f"Make a KongPlugin {reference.name} {where}, correct the name, or take it "
                "out of the annotation",
            )
