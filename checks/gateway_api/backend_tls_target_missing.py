"""A BackendTLSPolicy for nothing."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import services


class BackendTlsTargetMissing(Probe):
    """The backend gets clear text: this BackendTLSPolicy has no target.

    A BackendTLSPolicy holds for a Service of its own namespace, and `sectionName` is the *name*
    of a port of it. The number passes the API server and matches nothing; only for a Backend of
    Envoy Gateway, whose ports have no names, is it right.

    Not a problem for targets of other kinds, or without `sectionName`.

    ```sh
    kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.ports[*].name}'
    ```

    Source: gateway-api 1.6, apis/v1/backendtlspolicy_types.go (TargetNotFound); Envoy Gateway
    issue 4769.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: app}
    spec: {ports: [{name: https, port: 443}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: web, namespace: app}
    spec:
      targetRefs: [{group: "", kind: Service, name: web, sectionName: "443"}]
      validation: {hostname: web.example.com, wellKnownCACertificates: System}
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: web, namespace: app}
    spec:
      targetRefs: [{group: "", kind: Service, name: web, sectionName: https}]
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.BACKEND_TLS_POLICY,)
    needs = (kinds.SERVICE,)
    symptoms = (
        "TargetNotFound",
        "Client sent an HTTP request to an HTTPS server",
        "tls: first record does not look like a TLS handshake",
        "The plain HTTP request was sent to HTTPS port",
    )

    def check(self, policy: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Services that are not there, sections that are no port names."""
        for target in policy.each("spec", "targetRefs"):
            name, section = target.text("name"), target.text("sectionName")
            if (target.text("group"), target.text("kind")) != ("", "Service") or not name:
                continue
            service = cluster.get(kinds.SERVICE, policy.namespace, name)
            if service is None:
                yield self.finding(
                    target,
                    f"Service {policy.namespace}/{name} does not exist",
                    advice="Put the policy into the namespace of its Service, or name one there",
                )
            elif section and services.port(service, section) is None:
                ports = list(service.each("spec", "ports"))
                named = [p.text("name") for p in ports if str(p.number("port")) == section]
                fix = None
                if named and named[0]:
                    change = policy.changed(*target.path, "sectionName", to=named[0])
                    fix = Fix(f"Name the port {named[0]}", (change,), needs_review=True)
                there = ", ".join(p.text("name") for p in ports if p.text("name")) or "no names"
                yield self.finding(
                    target.at("sectionName"),
                    f"Service {name} has no port with the name {section}; its ports have {there}",
                    because=(service.at("spec", "ports"),),
                    fix=fix,
                    advice="" if fix else "Name a port of the Service, or leave sectionName out",
                )
