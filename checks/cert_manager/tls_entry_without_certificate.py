"""What the shim passes over."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import shims


class TlsEntryWithoutCertificate(Probe):
    """cert-manager was asked for a certificate and passes over this tls entry.

    From an annotated Ingress it makes a Certificate for each `tls` entry that has both hosts and
    a secretName; from a Gateway for each listener with a hostname, `mode: Terminate` and a
    certificateRef to a Secret in the Gateway's own namespace. It passes over every other, with an
    event that is gone after an hour, and goes on with the rest.

    Not a problem where the Secret that the entry names is there (somebody else writes it), for
    listeners that pass TLS through or carry none, and for an Ingress entry without a secretName
    beside one that covers its hosts.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector reason=BadConfig
    kubectl get certificates -n NAMESPACE
    ```

    Source: cert-manager 1.21, pkg/controller/certificate-shim/sync.go.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {cert-manager.io/cluster-issuer: letsencrypt}
    spec:
      ingressClassName: nginx
      tls: [{hosts: [shop.example.com]}]
      rules: [{host: shop.example.com}]
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: other, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [a.example.com]}
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
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.INGRESS, kinds.GATEWAY)
    needs = (kinds.SECRET,)
    symptoms = ("Skipped a TLS block", "Skipped a listener block")

    def check(self, resource: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each entry that is passed over and whose Secret nobody wrote."""
        for passed in shims.passed_over(resource):
            if passed.secret and cluster.get(kinds.SECRET, *passed.secret) is not None:
                continue
            lacks = (
                f", and the Secret {'/'.join(passed.secret)} is not there" if passed.secret else ""
            )
            yield self.finding(
                passed.field,
                f"cert-manager passes over this entry: {passed.why}{lacks}",
                root=resource,
                severity=Severity.HIGH if passed.secret else Severity.MEDIUM,
                advice=passed.advice,
            )
