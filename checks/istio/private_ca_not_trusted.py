"""TLS to a backend in the cluster, verified with the public authorities."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_rules


class PrivateCaNotTrusted(Probe):
    """TLS to a backend in the cluster fails: its authority is not trusted.

    Mode SIMPLE or MUTUAL without `caCertificates` and `credentialName` no longer means "do not
    verify": since Istio 1.20 the certificate is verified with the public authorities in the
    proxy's image. No public authority issues certificates for names of a cluster, so that of a
    Service is signed by a private one, and the proxy answers `CERTIFICATE_VERIFY_FAILED`.

    Not a problem for hosts outside the cluster, with `insecureSkipVerify`, or where `sni` or
    `subjectAltNames` name a public host that the backend's certificate is for.

    ```sh
    istioctl proxy-config log POD -n NAMESPACE --level connection:debug
    ```

    Source: istio 1.32 pilot/pkg/networking/core (VERIFY_CERTIFICATE_AT_CLIENT, 1.20).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: db, namespace: shop}
    spec:
      host: db.shop.svc.cluster.local
      trafficPolicy: {tls: {mode: SIMPLE}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec: {ports: [{name: tls, port: 5432}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.DESTINATION_RULE,)
    needs = (kinds.CONFIG_MAP,)
    symptoms = ("CERTIFICATE_VERIFY_FAILED", "unable to get local issuer certificate")

    def check(self, rule: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each TLS block for a Service that names no authority."""
        blocks = istio_rules.tls_blocks(rule)
        host = istio_rules.host_of(rule, cluster) if blocks else ""
        if istio_mesh.service_key(host, rule.namespace, cluster) is None:
            return
        for block in blocks:
            if block.text("mode") not in ("SIMPLE", "MUTUAL") or _is_settled(block):
                continue
            yield self.finding(
                block,
                f"tls mode {block.text('mode')} verifies the certificate of {host} with the public "
                "authorities, and none of them issues one for that name",
                advice="Name the authority of the backend: caCertificates with a file in the proxy, "
                "or credentialName with a workloadSelector; or sni and subjectAltNames if its "
                "certificate is for a public host",
            )


def _is_settled(block: Field) -> bool:
    """Whether it says whom to trust, or whose public certificate to expect."""
    if block.flag("insecureSkipVerify"):
        return True
    if any(block.text(key) for key in ("caCertificates", "credentialName")):
        return True
    names = [block.text("sni"), *block.texts("subjectAltNames")]
    return any("." in name and ".svc" not in name for name in names)
