"""A wildcard is proven by DNS alone."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import acme, cert_manager


class WildcardWithoutDnsSolver(Probe):
    """A name has no ACME solver that can prove it: no certificate is issued.

    ACME authorities give wildcard names (`*.example.com`) by DNS-01 only; an issuer with HTTP-01
    solvers alone can never get one. The same happens to a name that no solver's selector admits.
    The Order then ends in `errored`, and the whole Certificate with it.

    Not a problem for issuers other than ACME, and where at least one solver that admits the
    wildcard has `dns01`.

    Check it yourself:

    ```sh
    kubectl get orders -A -o custom-columns=NAME:.metadata.name,STATE:.status.state,WHY:.status.reason
    ```

    Source: RFC 8555 section 7.1.3, Let's Encrypt's challenge types; cert-manager 1.21,
    pkg/controller/acmeorders/util.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [example.com, "*.example.com"]
      issuerRef: {name: letsencrypt}
    ---
    apiVersion: cert-manager.io/v1
    kind: Issuer
    metadata: {name: letsencrypt, namespace: shop}
    spec:
      acme:
        solvers: [{http01: {ingress: {ingressClassName: nginx}}}]
    ---
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {solvers: [{dns01: {route53: {}}}]}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: nginx}
    spec: {controller: k8s.io/ingress-nginx}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE,)
    needs = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    symptoms = (
        "Failed to determine a valid solver configuration for the set of domains on the Order",
        "no configured challenge solvers can be used for this challenge",
    )

    def check(self, certificate: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each name of the Certificate against the solvers of its issuer."""
        reference = cert_manager.issuer_of(certificate)
        issuer = cert_manager.lookup(reference, cluster) if reference is not None else None
        if issuer is None or not issuer.has("spec", "acme") or cert_manager.is_ready(certificate):
            return
        if not issuer.has("spec", "acme", "solvers"):
            return
        for index, name in enumerate(certificate.texts("spec", "dnsNames")):
            solvers = list(acme.solvers_for(name, certificate, issuer))
            if name.startswith("*."):
                if any(solver.has("dns01") for solver in solvers):
                    continue
                why = "has no DNS-01 solver for it, and no other proves a wildcard"
            elif solvers:
                continue
            else:
                why = "has no solver whose selector admits it"
            yield self.finding(
                certificate.at("spec", "dnsNames", index),
                f"{name}: {reference} {why}",
                because=(issuer.at("spec", "acme", "solvers"),),
                advice="Add a solver (dns01 for wildcards) whose selector admits the name, or ask "
                "for the single names instead of the wildcard",
            )
            return
