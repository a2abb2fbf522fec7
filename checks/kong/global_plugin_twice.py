"""Two global plugins of one sort cancel each other."""

from collections import defaultdict
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, Skip, kinds
from gwdoctor.resolve import kong_plugins


class GlobalPluginTwice(Probe):
    """Kong drops a global plugin: two objects configure the same one.

    A KongClusterPlugin with the label `global: "true"` counts for every request. Two of them
    for one plugin are **both** dropped, with a log line only.

    Not a problem for different classes, which are different Kongs, or without the label.

    ```sh
    kubectl get kongclusterplugin -l global=true
    ```

    Source: Kong/kubernetes-ingress-controller internal/store, ListGlobalKongClusterPlugins (3.5).

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongClusterPlugin
    metadata: {name: cors, labels: {global: "true"}, annotations: {kubernetes.io/ingress.class: kong}}
    plugin: cors
    ---
    apiVersion: configuration.konghq.com/v1
    kind: KongClusterPlugin
    metadata: {name: cors-new, labels: {global: "true"}, annotations: {kubernetes.io/ingress.class: kong}}
    plugin: cors
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.KONG_CLUSTER_PLUGIN,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("Multiple KongPlugin with 'global' label found, cannot apply",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Global plugins grouped by class and plugin."""
        groups: dict[tuple[str, str], list[Resource]] = defaultdict(list)
        for plugin in cluster[kinds.KONG_CLUSTER_PLUGIN]:
            if plugin.label("global") == "true" and plugin.text("plugin"):
                owner = kong_plugins.class_of(plugin, cluster)
                if owner:
                    groups[owner, plugin.text("plugin")].append(plugin)
        for (_, name), plugins in groups.items():
            if len(plugins) < 2:
                continue
            first, *rest = plugins
            yield self.finding(
                first.at("metadata", "labels", "global"),
                f"{', '.join(p.name for p in plugins)} all configure {name} globally: none counts",
                root=first,
                because=tuple(p.at("metadata", "labels", "global") for p in rest),
                advice="Keep the label global on one of them",
            )
