"""The name is taken."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import cert_manager, hosts, shims


class CertificateOfAnotherOwner(Probe):
    """The annotations of an Ingress or Gateway reach no certificate.

    The shim makes a Certificate that is called like the Secret. If one of that name is there
    and does not belong to the object (`ownerReferences`), cert-manager leaves it as it is and
    says so in its log only. Later changes of hosts or issuer on the Ingress do nothing.

    Not a problem where the Certificate names all the hosts and the same issuer: then two objects
    share it, which is common.

    Check it yourself:

    ```sh
    kubectl get certificate NAME -n NAMESPACE -o jsonpath='{.metadata.ownerReferences} {.spec.dnsNames}'
    ```

    Source: cert-manager 1.21, pkg/controller/certificate-shim/sync.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop-tls, namespace: shop}
    spec: {secretName: shop-tls, dnsNames: [old.example.com], issuerRef: {name: letsencrypt, kind: ClusterIssuer}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {cert-manager.io/cluster-issuer: letsencrypt}
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
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
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
    needs = (kinds.CERTIFICATE,)
    symptoms = ("refusing to update non-owned certificate resource",)

    def check(self, resource: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Certificate that is not the object's own and differs from what is asked for."""
        issuer = cert_manager.asked_issuer(resource)
        for asked in shims.asked(resource):
            certificate = cluster.get(kinds.CERTIFICATE, resource.namespace, asked.name)
            if certificate is None or _is_owned(certificate, resource):
                continue
            named = certificate.texts("spec", "dnsNames")
            missing = [host for host in asked.hosts if not hosts.sans_cover(named, host)]
            used = cert_manager.issuer_of(certificate)
            if missing:
                what = f"does not name {', '.join(missing)}"
            elif issuer is not None and used is not None and str(used) != str(issuer):
                what = f"is issued by {used}, not by {issuer}"
            else:
                continue
            yield self.finding(
                asked.field,
                f"the Certificate {asked.name} is not this object's own, and {what}",
                root=resource,
                severity=Severity.HIGH if missing else Severity.MEDIUM,
                because=(certificate,),
                advice=f"Add the hosts to the Certificate {asked.name} by hand, or name "
                "another Secret here, of which cert-manager then makes a Certificate of its own",
            )


def _is_owned(certificate: Resource, resource: Resource) -> bool:
    return any(
        owner.text("kind") == resource.ref.kind.name and owner.text("name") == resource.name
        for owner in certificate.each("metadata", "ownerReferences")
    )
