"""One Secret, several tls entries."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import shims


class SecretNameRepeated(Probe):
    """An Ingress names a Secret in two tls entries: cert-manager issues none.

    The two entries would be two Certificates of one name. cert-manager refuses the whole
    Ingress, also its other entries, with an event BadConfig that is gone after an hour. The
    controllers of the Ingress themselves accept it.

    Not a problem on an Ingress that asks cert-manager for nothing.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector reason=BadConfig
    ```

    Source: cert-manager 1.21, pkg/controller/certificate-shim/sync.go
    (validateIngressTLSBlock); cert-manager issue 2099.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {cert-manager.io/cluster-issuer: letsencrypt}
    spec:
      ingressClassName: nginx
      rules: [{host: shop.example.com}, {host: www.example.com}]
      tls:
      - {hosts: [shop.example.com], secretName: shop-tls}
      - {hosts: [www.example.com], secretName: shop-tls}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com, www.example.com]}
    ```

    ```yaml fixed
    kind: Ingress
    spec:
      tls:
      - {hosts: [shop.example.com, www.example.com], secretName: shop-tls}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS,)
    symptoms = ("this secret name must only appear in a single TLS entry",)

    def check(self, ingress: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A secretName that stands twice."""
        if not shims.is_annotated(ingress):
            return
        for name, entries in shims.repeated(ingress):
            yield self.finding(
                entries[1].at("secretName"),
                f"{name} stands in {len(entries)} tls entries: cert-manager handles none of "
                "this Ingress",
                because=tuple(entry.at("secretName") for entry in entries if entry != entries[1]),
                marker=name,
                fix=Fix(
                    "List all hosts of the Secret in one entry",
                    (ingress.changed("spec", "tls", to=_merged(ingress, name)),),
                ),
            )


def _merged(ingress: Resource, name: str) -> list[object]:
    """The tls list with the entries of one Secret made into one, at the place of the first."""
    merged: list[object] = []
    hosts: list[str] = []
    for entry in ingress.each("spec", "tls"):
        if entry.text("secretName") != name:
            merged.append(entry.value)
            continue
        if not hosts:
            merged.append({"hosts": hosts, "secretName": name})
        hosts += [host for host in entry.texts("hosts") if host not in hosts]
    return merged
