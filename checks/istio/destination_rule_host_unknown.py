"""A DestinationRule for a host that the mesh does not know."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, OutOfView, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class DestinationRuleHostUnknown(Probe):
    """A DestinationRule has no effect: nothing in the mesh has its host.

    A name without any dot is taken for a Service of the rule's own namespace. A name with a dot
    stays as it is: `web.shop` and `web.shop.svc` name no Service, only
    `web.shop.svc.cluster.local` does. A host outside the cluster needs a ServiceEntry.

    Not a problem for wildcards, for names of other clusters (`clusterset.local`, `global`), or
    where a wildcard ServiceEntry covers the host.

    ```sh
    istioctl analyze -n NAMESPACE
    ```

    Source: istio 1.32 pkg/config/host (ResolveShortnameToFQDN), pkg/config/analysis (IST0174).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web, namespace: ops}
    spec:
      host: web.shop
      trafficPolicy: {connectionPool: {http: {http2MaxRequests: 100}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: client-1, namespace: ops, labels: {security.istio.io/tlsMode: istio}}
    ```

    ```yaml fixed
    spec: {host: web.shop.svc.cluster.local}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.SERVICE, kinds.SERVICE_ENTRY, kinds.CONFIG_MAP, kinds.POD)

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A host that is neither a Service's nor a ServiceEntry's."""
        written = rule.text("spec", "host")
        host = istio_rules.host_of(rule, cluster)
        if not host or "*" in host or host.endswith((".clusterset.local", ".global")):
            return
        if istio_mesh.service_of(host, rule.namespace, cluster) is not None:
            return
        cluster.every(kinds.SERVICE_ENTRY)
        if istio_mesh.service_entries(host, cluster):
            return
        meant = _meant(host, cluster)
        fix = None
        if meant is not None and _would_be_used(rule, meant, cluster):
            name = istio_mesh.host_of(meant, cluster)
            change = rule.changed("spec", "host", to=name)
            fix = Fix(f"Name Service {name} in full", (change,), needs_review=True)
        grown = f" (that is {host})" if host != written else ""
        yield self.finding(
            rule.at("spec", "host"),
            f"no Service or ServiceEntry has the host {written}{grown}",
            because=() if meant is None else (meant,),
            fix=fix,
            advice="Correct the host, make a ServiceEntry for it, or delete the DestinationRule",
        )


def _would_be_used(rule: Resource, service: Resource, cluster: Cluster) -> bool:
    """Whether the right name alone makes the rule work, as far as one can see."""
    try:
        return istio_rules.has_clients(rule, service.namespace, cluster)
    except OutOfView:
        return False


def _meant(host: str, cluster: Cluster) -> Resource | None:
    """The Service of `name.namespace` and `name.namespace.svc`, which Istio does not complete."""
    name, _, rest = host.removesuffix(".svc").partition(".")
    if not name or not rest or "." in rest:
        return None
    return cluster.get(kinds.SERVICE, rest, name) if cluster.sees(kinds.SERVICE, rest) else None
