"""A path is for HTTP."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong, kong_annotations

_PATH = "konghq.com/path"


class PathWithStreamProtocol(Probe):
    """Kong rejects its whole configuration: a path on a TCP or TLS Service.

    A Kong service with protocol tcp or tls must not have a path. One Service with both
    annotations makes Kong refuse the push, so **every** route of the cluster stays as it was.
    For grpc and grpcs the controller drops the path itself.

    Not a problem for http, https, grpc and grpcs, for a path without a leading `/`, which is
    ignored, and on a Service that Kong does not enter.

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kong kong/db/schema/entities/services.lua (3.9), entity_checks.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata:
      name: shop
      namespace: shop
      annotations: {konghq.com/protocol: tcp, konghq.com/path: /api}
    spec: {ports: [{port: 80}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.SERVICE,)
    needs = kong.ENTRY_KINDS
    symptoms = ("invalid path: value must be null", "failed to apply Kong configuration")

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Both annotations on a Service that Kong enters."""
        path = service.at("metadata", "annotations", _PATH)
        if kong.protocol(service) not in ("tcp", "tls") or not path.text().startswith("/"):
            return
        entries = kong.entries(service, cluster)
        if not entries:
            return
        command = kong_annotations.annotate(
            kinds.SERVICE, service.namespace, service.name, f"{_PATH}-"
        )
        yield self.finding(
            path,
            f"the path {path.text()} does not go with protocol {kong.protocol(service)}: "
            "Kong rejects the whole configuration",
            root=service,
            because=tuple(dict.fromkeys(entry.field for entry in entries)),
            fix=Fix("Take the path away", needs_review=True, commands=(command,)),
        )
