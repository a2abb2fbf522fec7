"""A webhook or aggregated API whose sidecar refuses the API server."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_mesh, istio_mtls, services


class WebhookBehindStrictMtls(Probe):
    """The API server cannot call a webhook or API: its sidecar demands mTLS.

    The API server is never in the mesh. It calls webhooks and aggregated APIs with a TLS of its
    own, and a sidecar in mode STRICT closes such connections: with failurePolicy Fail every
    request that matches the webhook is refused, and an APIService stays unavailable.

    Not a problem where the Pods have no sidecar, or where the container port is PERMISSIVE or
    DISABLE by `portLevelMtls`.

    ```sh
    kubectl get apiservices | grep False
    kubectl get events -A | grep -i 'failed calling webhook'
    ```

    Source: istio/istio#34543, #52874; istio 1.32 pilot/pkg/networking/core (inbound chains).

    ```yaml bad
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: istio-system}
    spec: {mtls: {mode: STRICT}}
    ---
    apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingWebhookConfiguration
    metadata: {name: policy}
    webhooks:
    - name: validate.policy.example.com
      clientConfig: {service: {name: policy, namespace: policy}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: policy, namespace: policy}
    spec: {selector: {app: policy}, ports: [{port: 443, targetPort: 8443}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: policy-1
      namespace: policy
      labels: {app: policy, security.istio.io/tlsMode: istio}
    ```

    ```yaml fixed
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: policy-outside-the-mesh, namespace: policy}
    spec:
      selector: {matchLabels: {app: policy}}
      portLevelMtls: {"8443": {mode: PERMISSIVE}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK, kinds.API_SERVICE)
    needs = (
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.PEER_AUTHENTICATION,
        kinds.CONFIG_MAP,
    )
    symptoms = ("failed calling webhook", "FailedDiscoveryCheck", "connection reset by peer")

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each Service that it names, and the sidecar in front of it."""
        for reference, is_fatal in _references(subject):
            number = reference.number("port") or 443
            service = cluster.get(
                kinds.SERVICE, reference.text("namespace"), reference.text("name")
            )
            port = services.port(service, number) if service is not None else None
            if service is None or port is None:
                continue
            receiver = istio_mtls.receiver(cluster, service, port)
            strict = receiver.mode("STRICT") if receiver is not None else None
            if receiver is None or strict is None or receiver.membership not in ("all", "some"):
                continue
            yield self.finding(
                reference,
                f"the API server calls {service.name}.{service.namespace} port {number} without "
                "a mesh certificate, and PeerAuthentication mode STRICT takes nothing else",
                severity=None if is_fatal else Severity.HIGH,
                because=() if strict.field is None else (strict.field,),
                fix=_fix(service, port, receiver.target, cluster),
                advice="Set the container port to PERMISSIVE with a PeerAuthentication for this "
                "workload, or run it without a sidecar",
            )


def _references(subject: Resource) -> Iterator[tuple[Field, bool]]:
    """Each reference to a Service, and whether requests fail when it cannot be called."""
    if subject.ref.kind == kinds.API_SERVICE:
        if subject.has("spec", "service"):
            yield subject.at("spec", "service"), True
        return
    for webhook in subject.each("webhooks"):
        reference = webhook.at("clientConfig", "service")
        if reference.has():
            yield reference, webhook.text("failurePolicy") != "Ignore"


def _fix(service: Resource, port: Field, target: int | None, cluster: Cluster) -> Fix | None:
    if target is None:
        return None
    # a port declared as HTTP has no filter chain for foreign TLS, PERMISSIVE or not
    mode = "DISABLE" if istio_mesh.protocol(port) in istio_mesh.HTTP else "PERMISSIVE"
    changes = istio_mtls.exceptions(cluster, [(service, target, mode)])
    if not changes:
        return None
    return Fix("Let this port take the API server's own TLS", changes, needs_review=True)
