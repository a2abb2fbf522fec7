"""Nobody to sign."""

from collections.abc import Iterator
from shlex import quote

from gwdoctor import Cluster, Confidence, Finding, Fix, OutOfView, Probe, Resource, Severity, kinds
from gwdoctor.resolve import cert_manager
from gwdoctor.resolve.cert_manager import IssuerReference


class IssuerMissing(Probe):
    """A certificate is asked of an issuer that does not exist.

    `issuerRef` without a kind, and the annotation `cert-manager.io/issuer`, mean an Issuer in
    the namespace of the Certificate; a ClusterIssuer of that name does not count, nor does an
    Issuer elsewhere. cert-manager waits for ever: the request stays Pending, and a certificate
    that is there already is not renewed.

    Not a problem for issuers of other groups (`issuerRef.group`), which other controllers serve.

    Check it yourself:

    ```sh
    kubectl get issuers,clusterissuers -A
    kubectl get certificaterequests -n NAMESPACE
    ```

    Source: cert-manager 1.21, pkg/controller/certificaterequests/sync.go and
    pkg/controller/certificate-shim.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
    ---
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: letsencrypt}
    ```

    ```yaml fixed
    kind: Certificate
    spec:
      issuerRef: {name: letsencrypt, kind: ClusterIssuer}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.CERTIFICATE, kinds.INGRESS, kinds.GATEWAY)
    needs = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    symptoms = ('Referenced "Issuer" not found', 'Referenced "ClusterIssuer" not found')

    def check(self, asking: Resource, cluster: Cluster) -> Iterator[Finding]:
        """An issuerRef, or the annotation of a shim, that leads to nothing."""
        is_certificate = asking.ref.kind == kinds.CERTIFICATE
        if is_certificate:
            reference = cert_manager.issuer_of(asking)
            if _told_at_its_owner(asking, reference, cluster):
                return
        else:
            reference = cert_manager.asked_issuer(asking)
        if reference is None:
            return
        meant = cert_manager.namesakes(reference, cluster)
        try:
            issuer, confidence = cert_manager.lookup(reference, cluster), Confidence.CERTAIN
        except OutOfView:
            if not any(other.ref.kind != reference.kind for other in meant):
                raise
            issuer, confidence = None, Confidence.POSSIBLE  # the name was meant for the other kind
        if issuer is not None:
            return
        others = f"; there is {', '.join(str(issuer.ref) for issuer in meant)}" if meant else ""
        fix = _other_kind(asking, reference, meant)
        lacks = "does not exist" if confidence == Confidence.CERTAIN else "is not to be seen"
        yield self.finding(
            reference.field,
            f"{reference} {lacks}{others}",
            confidence=confidence,
            severity=cert_manager.urgency(asking, cluster.now) if is_certificate else Severity.HIGH,
            because=tuple(meant),
            fix=fix,
            advice=""
            if fix
            else f"Name an issuer that exists, or create {reference}; an Issuer serves its own "
            "namespace only, a ClusterIssuer all of them",
        )


def _told_at_its_owner(
    certificate: Resource, reference: IssuerReference | None, cluster: Cluster
) -> bool:
    """Whether the Certificate was made from an Ingress or Gateway that asks for this issuer."""
    owner = cert_manager.shim_owner(certificate, cluster)
    asked = cert_manager.asked_issuer(owner) if owner is not None else None
    return asked is not None and reference is not None and str(asked) == str(reference)


def _other_kind(
    asking: Resource, reference: IssuerReference, meant: tuple[Resource, ...]
) -> Fix | None:
    """A fix where the same name exists as the other kind."""
    other = next((i for i in meant if i.ref.kind != reference.kind), None)
    if other is None or other.namespace not in ("", asking.namespace):
        return None
    title = f"Ask the {other.ref.kind.name} of that name"
    if asking.ref.kind == kinds.CERTIFICATE:
        change = asking.changed("spec", "issuerRef", "kind", to=other.ref.kind.name)
        return Fix(title, (change,), needs_review=True)
    to_cluster = other.ref.kind == kinds.CLUSTER_ISSUER
    gone, new = cert_manager.ISSUER, cert_manager.CLUSTER_ISSUER
    if not to_cluster:
        gone, new = new, gone
    kind = "gateways.gateway.networking.k8s.io" if asking.ref.kind == kinds.GATEWAY else "ingress"
    command = (
        f"kubectl annotate {kind} {quote(asking.name)} --namespace {quote(asking.namespace)} "
        f"{gone}- {quote(f'{new}={other.name}')}"
    )
    return Fix(title, commands=(command,), needs_review=True)
