"""Ninety days are 2160 hours."""

import re
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity
from gwdoctor.resolve import cert_manager, shims

_KEYS = ("cert-manager.io/duration", "cert-manager.io/renew-before")


class AnnotationDurationUnreadable(Probe):
    """cert-manager cannot read a duration: it issues nothing for this object.

    Durations are written as Go reads them, in hours, minutes and seconds: there is no unit for
    days. `90d` is an error, and so is a bare number; cert-manager then makes no certificate of
    the whole Ingress or Gateway.

    Not a problem for combined units (`24h30m`), fractions (`1.5h`), or on an object without
    an issuer annotation, which cert-manager does not look at.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector reason=BadConfig
    ```

    Source: cert-manager 1.21, pkg/controller/certificate-shim/helper.go (translateAnnotations); Go
    time.ParseDuration.

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations:
        cert-manager.io/cluster-issuer: letsencrypt
        cert-manager.io/duration: 90d
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

    ```yaml fixed
    kind: Ingress
    metadata:
      annotations: {cert-manager.io/duration: 2160h}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = cert_manager.SHIMMED
    symptoms = (
        "invalid ingress annotation",
        "time: unknown unit",
        "time: missing unit in duration",
    )

    def check(self, resource: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Durations in annotations that Go does not read."""
        if not shims.is_annotated(resource):
            return
        for key in _KEYS:
            text = resource.annotation(key)
            if not text or cert_manager.duration(text) is not None:
                continue
            spot = resource.at("metadata", "annotations", key)
            days = re.fullmatch(r"(\d{1,5})\s*(?:d|days?)", text)
            fix = None
            if days:
                change = resource.changed(*spot.path, to=f"{int(days[1]) * 24}h")
                fix = Fix("Say it in hours", (change,))
            yield self.finding(
                spot,
                f"{key} {text} is no duration: cert-manager issues nothing for this object",
                fix=fix,
                advice="" if fix else "Write it in hours and minutes, such as 2160h or 30m",
            )
