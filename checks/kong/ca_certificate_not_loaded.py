"""CA certificates that are named and never reach Kong."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong, kong_annotations, kong_plugins


class CaCertificateNotLoaded(Probe):
    """Kong cannot verify a backend: it never loads the CA certificate.

    The names in `konghq.com/ca-certificates-secrets` and `-configmaps` are of the Service's own
    namespace, but Kong loads CA certificates **by label**, not by name: without
    `konghq.com/ca-cert: "true"` (a ConfigMap also needs `konghq.com/configmap: "true"`) the
    reference looks right and Kong answers 502 with `CA Certificate ... does not exist`.

    Not a problem on a Service that Kong does not enter.

    ```sh
    kubectl -n NAMESPACE get secret,configmap -l konghq.com/ca-cert=true
    ```

    Source: Kong/kubernetes-ingress-controller internal/store, ListCACerts (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata:
      name: shop
      namespace: shop
      annotations:
        konghq.com/protocol: https
        konghq.com/tls-verify: "true"
        konghq.com/ca-certificates-secrets: ca
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 443}}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, kinds.SECRET, kinds.CONFIG_MAP)
    symptoms = (
        "unable to get upstream TLS CA store",
        "Failed to fetch secret for CA Certificate",
        "upstream SSL certificate verify error",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Names that lead to nothing, or to an object without Kong's labels."""
        named = [
            (service.at("metadata", "annotations", key), kind, name)
            for key, kind in kong_plugins.CA_ANNOTATIONS.items()
            for name in kong_plugins.names(service.annotation(key))
        ]
        if not named or not kong.entries(service, cluster):
            return
        for field, kind, name in named:
            found = cluster.get(kind, service.namespace, name)
            if found is None:
                yield self.finding(
                    field,
                    f"there is no {kind.name} {name} in namespace {service.namespace}",
                    root=service,
                    marker=name,
                    advice=f"Make the {kind.name} beside the Service, with Kong's labels and id",
                )
            elif not kong_plugins.is_ca(found):
                yield self._unlabelled(found, field, cluster)

    def _unlabelled(self, holder: Resource, because: Field, cluster: Cluster) -> Finding:
        wanted = [kong_plugins.CA_LABEL]
        if holder.ref.kind == kinds.CONFIG_MAP:
            wanted.append(kong_plugins.CONFIG_MAP_LABEL)
        missing = [label for label in wanted if holder.label(label) != "true"]
        command = kong_annotations.label(holder, *(f"{label}=true" for label in missing))
        title = "Label it as a CA certificate of Kong's"
        fix = Fix(title, needs_review=True, commands=(command,))
        wrong = [problem for _, problem in kong_plugins.ca_problems(holder, cluster)]
        return self.finding(
            holder.at("metadata", "labels", missing[0]),
            f"{holder.ref.kind.name} {holder.name} lacks the label {' and '.join(missing)}: Kong "
            "never loads it",
            root=holder,
            because=(because,),
            fix=None if wrong else fix,
            advice=f"Make it anew with the labels, an id (a UUID) and one CA certificate: {wrong[0]}"
            if wrong
            else "",
        )
