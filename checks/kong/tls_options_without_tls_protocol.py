"""Hardening that freezes all of Kong."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong, kong_annotations


class TlsOptionsWithoutTlsProtocol(Probe):
    """Kong rejects its whole configuration: TLS options on a plain Service.

    Kong's schema allows `tls_verify` and `tls_verify_depth` with protocol https or tls only.
    `konghq.com/tls-verify` alone leaves the protocol at http, so Kong refuses the push, and
    **every** route of the cluster stays as it was until the annotation is put right: new
    routes, endpoints and certificates included. `"false"` is refused as well as `"true"`.

    Not a problem with `konghq.com/protocol: https` (or tls) beside it, on a Service that Kong
    does not enter, in releases before 3.4, which ignore the annotation, or with the
    FallbackConfiguration feature gate, which leaves out only the offender.

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kong kong/db/schema/entities/services.lua (3.9), entity_checks.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: minio, namespace: storage, annotations: {konghq.com/tls-verify: "true"}}
    spec: {ports: [{port: 9000}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: minio, namespace: storage}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: minio, port: {number: 9000}}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.SERVICE,)
    needs = (*kong.ENTRY_KINDS, kinds.BACKEND_TLS_POLICY)
    symptoms = (
        "failed conditional validation given value of field 'protocol'",
        "failed to apply Kong configuration",
    )

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A TLS option that Kong takes in, on a Service that it speaks no TLS to."""
        annotations = service.at("metadata", "annotations")
        option = next(
            (
                annotations.at(kong_annotations.PREFIX + key)
                for key in ("tls-verify", "tls-verify-depth")
                if kong_annotations.FORMS[key].fits(annotations.text(kong_annotations.PREFIX + key))
            ),
            None,
        )
        if option is None or kong.protocol(service) in kong.TLS_PROTOCOLS:
            return
        entries = kong.entries(service, cluster)
        if not entries or kong.tls_policies(cluster).get((service.namespace, service.name)):
            return
        if not kong.agree(kong.siblings(service, cluster)):
            return  # kong/services-of-one-rule-disagree: this never reaches Kong
        keys = [
            f"{kong_annotations.PREFIX}{key}-"
            for key in ("tls-verify", "tls-verify-depth")
            if annotations.has(kong_annotations.PREFIX + key)
        ]
        command = kong_annotations.annotate(kinds.SERVICE, service.namespace, service.name, *keys)
        yield self.finding(
            option,
            f"{option.path[-1]} goes with protocol https or tls only, and Kong is told "
            f"{service.annotation(kong.PROTOCOL) or 'no protocol'} here: "
            "it rejects the whole configuration",
            root=service,
            because=tuple(dict.fromkeys(entry.field for entry in entries)),
            fix=Fix(
                "Take the option away: Kong takes configuration again, and verifies no less than "
                "it does now",
                needs_review=True,
                commands=(command,),
            ),
            advice="If the backend speaks TLS, set konghq.com/protocol: https instead, give Kong "
            "its CA certificate, and mind the name that is verified (konghq.com/preserve-host)",
        )
