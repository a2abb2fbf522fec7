"""Plugins of another namespace."""

from collections.abc import Iterator

from gwdoctor import (
    Change,
    Cluster,
    Confidence,
    Finding,
    Fix,
    Kind,
    Probe,
    Resource,
    Severity,
    kinds,
)
from gwdoctor.resolve import grants, kong_plugins


class PluginWithoutGrant(Probe):
    """Kong serves without a plugin of another namespace: nothing grants it.

    `namespace:name` needs a ReferenceGrant **in the plugin's namespace**, from the group, kind
    and namespace of the object that carries the annotation (a Service has the empty group) to
    group `configuration.konghq.com`, kind KongPlugin. All are compared as strings.

    Not a problem for plugins of the same namespace, and for KongClusterPlugins.

    ```sh
    kubectl -n PLUGIN_NAMESPACE get referencegrant -o yaml
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate (3.5), plugins.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/plugins: "shared:key-auth"}}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ---
    apiVersion: configuration.konghq.com/v1
    kind: KongPlugin
    metadata: {name: key-auth, namespace: shared}
    plugin: key-auth
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: ReferenceGrant
    metadata: {namespace: shared}
    spec: {to: [{group: configuration.konghq.com, kind: KongPlugin, name: key-auth}]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = kong_plugins.HOLDERS
    needs = (kinds.KONG_PLUGIN, kinds.REFERENCE_GRANT)
    symptoms = ("no grant found to referenced",)

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Plugins that exist in another namespace and that nothing there grants."""
        kind = holder.ref.kind
        for reference in kong_plugins.references(holder):
            plugin = cluster.get(kinds.KONG_PLUGIN, reference.namespace, reference.name)
            if plugin is None or grants.permits(
                cluster, kind, holder.namespace, *_target(reference)
            ):
                continue
            grant = {
                "apiVersion": cluster.api_version(kinds.REFERENCE_GRANT),
                "kind": "ReferenceGrant",
                "metadata": {
                    "name": f"{holder.namespace}-{kind.name.lower()}-to-{reference.name}"[:63],
                    "namespace": reference.namespace,
                },
                "spec": {
                    "from": [
                        {"group": kind.group, "kind": kind.name, "namespace": holder.namespace}
                    ],
                    "to": [
                        {
                            "group": kinds.KONG_PLUGIN.group,
                            "kind": kinds.KONG_PLUGIN.name,
                            "name": reference.name,
                        }
                    ],
                },
            }
            yield self.finding(
                reference.field,
                f"no ReferenceGrant of namespace {reference.namespace} lets a {kind.name} of "
                f"{holder.namespace} use KongPlugin {reference.name}",
                root=holder,
                because=(plugin,),
                marker=str(reference),
                fix=Fix("Grant it", (Change.created(grant),), needs_review=True),
            )


def _target(reference: kong_plugins.Reference) -> tuple[Kind, str, str]:
    return kinds.KONG_PLUGIN, reference.namespace, reference.name
