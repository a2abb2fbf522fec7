"""A certificate for a name that leads nowhere."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve.host_index import HostIndex


class TlsHostWithoutRule(Probe):
    """An Ingress has a certificate for a host that none of its rules serves.

    `spec.tls[].hosts` only choose a certificate; requests are routed by `spec.rules[].host`. A
    host that stands under tls alone completes the handshake and answers 404, unless another
    Ingress has a rule for it: most often it is a typing error in one of the two.

    Not a problem where a wildcard covers it either way, where a rule or the default backend
    takes every host, where another Ingress has the rule, or with ingress-nginx's
    `from-to-www-redirect`, which serves `www.` by itself.

    ```sh
    kubectl -n NAMESPACE get ingress NAME -o jsonpath='{.spec.tls[*].hosts} {.spec.rules[*].host}'
    ```

    Source: Kubernetes networking/v1 IngressTLS.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: nginx
      tls: [{hosts: [shop.example.org], secretName: shop-tls}]
      rules:
      - host: shop.example.com
        http:
          paths:
          - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
    ```
    """

    severity = Severity.LOW
    confidence = Confidence.LIKELY
    subjects = (kinds.INGRESS,)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Hosts of tls entries that no rule of any Ingress shares a name with."""
        rules = list(subject.each("spec", "rules"))
        if subject.has("spec", "defaultBackend"):
            return
        www = subject.annotation("nginx.ingress.kubernetes.io/from-to-www-redirect") == "true"
        ruled: HostIndex[Field] = HostIndex()
        for rule in rules:
            pattern = rule.text("host").lower()
            ruled.add((pattern.removeprefix("www.") if www else pattern) or "*", rule)
        for entry in subject.each("spec", "tls"):
            for host in entry.each("hosts"):
                name = host.text().lower()
                if www:
                    name = name.removeprefix("www.")
                if not name or any(ruled.overlapping(name)):
                    continue
                if name in cluster.derive(_rule_hosts):
                    continue
                yield self.finding(
                    host,
                    f"{host.text()} has a certificate here and no rule",
                    root=subject,
                    because=tuple(rule.at("host") for rule in rules),
                    advice="Add a rule for the host, correct the spelling, or take it out of tls",
                )


def _rule_hosts(cluster: Cluster) -> frozenset[str]:
    return frozenset(
        rule.text("host").lower()
        for ingress in cluster[kinds.INGRESS]
        for rule in ingress.each("spec", "rules")
    )
