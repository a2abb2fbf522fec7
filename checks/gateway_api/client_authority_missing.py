"""mTLS with an authority that is not there."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import references
from gwdoctor.resolve.references import Reference

_KINDS = ("ConfigMap", "Secret", "ClusterTrustBundle")


class ClientAuthorityMissing(Probe):
    """Listeners with client certificates fail: their authority is missing.

    `spec.tls.frontend` names ConfigMaps whose key `ca.crt` holds the authorities of client
    certificates, for all HTTPS listeners or for those of one port, which replaces the default.
    If no reference of a listener is usable, the listener is not accepted.

    Not a problem as long as one of several references holds a certificate: that one is used.

    ```sh
    kubectl get configmap NAME -n NAMESPACE -o jsonpath='{.data.ca\\.crt}'
    ```

    Source: gateway-api 1.6 conformance, gateway-with-invalid-clientcertificate-validation
    (NoValidCACertificate).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      tls:
        frontend:
          default:
            validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: client-ca}]}
      listeners:
      - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.GATEWAY,)
    needs = (kinds.CONFIG_MAP,)
    symptoms = (
        "NoValidCACertificate",
        "ERR_CONNECTION_RESET",
    )

    def check(self, gateway: Resource, cluster: Cluster) -> Iterator[Finding]:
        """References that hold no certificate, where all of one list are like that."""
        found = list(references.authorities(gateway))
        problems = {one.field: problem for one in found if (problem := _problem(one, cluster))}
        for one in found:
            siblings = [o for o in found if o.field.path[:-1] == one.field.path[:-1]]
            if one.field not in problems:
                continue
            lost = all(sibling.field in problems for sibling in siblings)
            yield self.finding(
                one.field,
                f"client certificates cannot be verified: {problems[one.field]}",
                severity=Severity.CRITICAL if lost else Severity.MEDIUM,
                advice="Make a ConfigMap with the authority of the clients under the key ca.crt, "
                "or name one that exists",
            )


def _problem(reference: Reference, cluster: Cluster) -> str:
    if reference.kind.group or reference.kind.name not in _KINDS:
        return f"{reference.kind.name} {reference.name} is no ConfigMap"
    if reference.kind != kinds.CONFIG_MAP:
        return ""  # some controllers take these, and what is in them is not for this check
    found = cluster.get(kinds.CONFIG_MAP, reference.namespace, reference.name)
    if found is None:
        return f"ConfigMap {reference.namespace}/{reference.name} does not exist"
    if "BEGIN CERTIFICATE" not in found.text("data", "ca.crt"):
        return f"ConfigMap {reference.namespace}/{reference.name} holds no certificate in ca.crt"
    return ""
