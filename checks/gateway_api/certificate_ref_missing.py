"""A certificateRef that leads nowhere."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api


class CertificateRefMissing(Probe):
    """https:// fails on this listener: its certificate does not exist.

    A certificateRef without `namespace` means the namespace of the Gateway or ListenerSet, not
    that of the certificate's owner, and its `group` is `""` (`core` is another one). With several
    refs the listener lives on what is left.

    Not a problem where the controller says that the references of the listener are resolved.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.type}'
    ```

    Source: gateway-api 1.6 conformance, gateway-invalid-tls-configuration (InvalidCertificateRef).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.GATEWAY, kinds.LISTENER_SET)
    needs = (kinds.SECRET,)
    symptoms = (
        "InvalidCertificateRef",
        "Connection reset by peer",
        "ERR_CONNECTION_RESET",
    )

    def check(self, owner: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Refs of other kinds, and Secrets that are not there."""
        for listener in gateway_api.listeners(owner):
            if listener.tls_mode != "Terminate":
                continue
            references = list(listener.field.each("tls", "certificateRefs"))
            for reference in references:
                kind, group = reference.text("kind") or "Secret", reference.text("group")
                namespace = reference.text("namespace") or owner.namespace
                name = reference.text("name")
                if group in ("", "core", "v1"):
                    if (kind, group) != ("Secret", ""):
                        what = f'kind {kind} of group "{group}" is no certificate'
                    elif not name or cluster.get(kinds.SECRET, namespace, name) is not None:
                        continue
                    else:
                        what = f"Secret {namespace}/{name} does not exist"
                elif gateway_api.is_accepted(listener, "ResolvedRefs"):
                    continue  # a kind of the controller's own
                else:
                    what = f'kind {kind} of group "{group}" is no certificate'
                yield self.finding(
                    reference,
                    f"listener {listener.name}: {what}",
                    severity=Severity.HIGH if len(references) > 1 else Severity.CRITICAL,
                    because=(listener.field,),
                    marker=f"{group}/{kind}/{namespace}",
                    advice="Make the Secret (kubernetes.io/tls) there, let cert-manager make it, or "
                    "name one that exists; one in another namespace also takes a ReferenceGrant",
                )
