"""The issuer exists and cannot sign."""

from collections.abc import Iterator
from shlex import quote

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import authorities, cert_manager, issuers


class IssuerNotReady(Probe):
    """An issuer is not ready: no certificate of its is issued or renewed.

    cert-manager sets Ready on the issuer itself, and every Certificate waits behind it with a
    request that stays Pending. While the certificates that exist live on, nothing else shows it.

    Not a problem while the condition speaks of an older generation of the issuer; a CA issuer
    without its key pair has a check of its own (`cert-manager/authority-without-key-pair`).

    Check it yourself:

    ```sh
    kubectl get issuers,clusterissuers -A
    ```

    Source: cert-manager 1.21, pkg/controller/issuers and pkg/issuer/*/setup.go.

    ```yaml bad
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt, generation: 1}
    spec: {acme: {server: "https://acme.example.com/directory"}}
    status:
      conditions:
      - type: Ready
        status: "False"
        reason: ErrRegisterACMEAccount
        message: "Failed to register ACME account: Get \\"https://acme.example.com/directory\\": no such host"
        observedGeneration: 1
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.ISSUER, kinds.CLUSTER_ISSUER)
    needs = (kinds.CERTIFICATE, kinds.SECRET, kinds.POD_WHOLE)
    symptoms = ("IssuerNotReady", "Referenced issuer does not have a Ready status condition")

    def check(self, issuer: Resource, cluster: Cluster) -> Iterator[Finding]:
        """The controller's own word."""
        told = cert_manager.not_ready(issuer)
        if told is None or authorities.trouble(issuer, cluster) is not None:
            return
        waiting = issuers.customers(cluster).get(
            (issuer.ref.kind, issuer.namespace, issuer.name), ()
        )
        urgency = max(
            (cert_manager.urgency(c, cluster.now) for c in waiting), default=Severity.MEDIUM
        )
        words = " ".join((told.text("message") or told.text("reason")).split()).rstrip(". ")
        count = f"it has {len(waiting)} Certificate{'' if len(waiting) == 1 else 's'}"
        yield self.finding(
            told,
            f"{told.text('reason')}: {words[:300]}; {count}",
            severity=urgency,
            because=tuple(waiting),
            advice="Mend what the condition says; cert-manager tries again by itself, "
            f"and `kubectl describe {issuer.ref.kind.name.lower()} {quote(issuer.name)}` shows the last try",
        )
