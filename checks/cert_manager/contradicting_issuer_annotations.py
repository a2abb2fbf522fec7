"""Two issuers named, none asked."""

from collections.abc import Iterator
from shlex import quote

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity
from gwdoctor.resolve import cert_manager


class ContradictingIssuerAnnotations(Probe):
    """Annotations name two sorts of issuer: cert-manager issues nothing.

    `cert-manager.io/issuer` and `cert-manager.io/cluster-issuer` exclude each other, and
    `issuer-kind` and `issuer-group` go with the first only. cert-manager writes an event
    BadConfig, which is gone after an hour, and leaves the object alone: no certificate is made,
    and a later change of hosts does not reach one that exists.

    Not a problem for an annotation with an empty value, which counts as absent.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector reason=BadConfig
    ```

    Source: cert-manager 1.21, pkg/controller/certificate-shim/helper.go.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations:
        cert-manager.io/issuer: letsencrypt
        cert-manager.io/cluster-issuer: letsencrypt
    spec:
      ingressClassName: nginx
      tls: [{hosts: [shop.example.com], secretName: shop-tls}]
      rules: [{host: shop.example.com}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = cert_manager.SHIMMED
    symptoms = ("BadConfig", 'both "cert-manager.io/issuer" and "cert-manager.io/cluster-issuer"')

    def check(self, resource: Resource, cluster: Cluster) -> Iterator[Finding]:
        """cluster-issuer beside what belongs to the other form."""
        if not resource.annotation(cert_manager.CLUSTER_ISSUER):
            return
        others = [
            key
            for key in (cert_manager.ISSUER, cert_manager.ISSUER_KIND, cert_manager.ISSUER_GROUP)
            if resource.annotation(key)
        ]
        if not others:
            return
        yield self.finding(
            resource.at("metadata", "annotations", others[0]),
            f"{cert_manager.CLUSTER_ISSUER} and {', '.join(others)} contradict each other: "
            "cert-manager issues nothing for this object",
            because=(resource.at("metadata", "annotations", cert_manager.CLUSTER_ISSUER),),
            advice="Decide between the ClusterIssuer "
            f"{resource.annotation(cert_manager.CLUSTER_ISSUER)} and what {', '.join(others)} "
            f"{'names' if len(others) == 1 else 'name'}, and take the other away: kubectl annotate "
            f"{resource.ref.kind.name.lower()} {quote(resource.name)} -n {quote(resource.namespace)} KEY-",
        )
