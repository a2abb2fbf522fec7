"""Asked in a language that is switched off."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Severity, Skip, kinds
from gwdoctor.resolve import cert_manager


class GatewayApiNotEnabled(Probe):
    """cert-manager does not look at Gateways: their annotations do nothing.

    The support for Gateway API is off by default: the controller must be started with
    `--enable-gateway-api` (before 1.15: `--feature-gates=ExperimentalGatewayAPISupport=true`),
    and restarted when the CRDs came after it. Nothing tells: no event, no condition.

    Not a problem where some Certificate belongs to a Gateway (so it is on), or where the controller
    reads a configuration file, which may set enableGatewayAPI and is not read here.

    Check it yourself:

    ```sh
    kubectl get pods -A -l app.kubernetes.io/component=controller,app.kubernetes.io/name=cert-manager \\
      -o jsonpath='{.items[*].spec.containers[*].args}'
    ```

    Source: cert-manager 1.21, cmd/controller/app/options and internal/controller/feature.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata:
      name: edge
      namespace: shop
      annotations: {cert-manager.io/cluster-issuer: letsencrypt}
    spec: {gatewayClassName: eg, listeners: []}
    ---
    apiVersion: v1
    kind: Pod
    metadata:
      name: cert-manager-6d8
      namespace: cert-manager
      labels: {app.kubernetes.io/name: cert-manager, app.kubernetes.io/component: controller}
    spec:
      containers:
      - name: cert-manager-controller
        image: quay.io/jetstack/cert-manager-controller:v1.18.2
        args: [--v=2, "--leader-election-namespace=kube-system"]
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.GATEWAY,)
    needs = (kinds.POD_WHOLE, kinds.CERTIFICATE)
    symptoms = ("gateway api is not enabled",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Annotated Gateways, and a controller without the switch."""
        gateways = tuple(cert_manager.annotated(cluster, kinds.GATEWAY))
        made_some = any(
            owner.text("kind") == "Gateway"
            for certificate in cluster[kinds.CERTIFICATE]
            for owner in certificate.each("metadata", "ownerReferences")
        )
        pods = list(cert_manager.controllers(cluster))
        if not gateways or made_some or not pods:
            return
        for _, container in pods:
            arguments = " ".join((*container.texts("command"), *container.texts("args")))
            if any(word in arguments for word in ("--config", "enable-gateway-api=true")):
                return
            if "--enable-gateway-api" in arguments.replace("--enable-gateway-api=false", ""):
                return
            if "ExperimentalGatewayAPISupport=true" in arguments:
                return
        pod, container = pods[0]
        count = f"{len(gateways)} Gateway{'' if len(gateways) == 1 else 's'}"
        yield self.finding(
            container.at("args"),
            f"the controller was started without --enable-gateway-api: {count} with "
            "cert-manager annotations get no certificate",
            root=pod,
            confidence=Confidence.CERTAIN,
            because=gateways,
            advice="Start the controller with --enable-gateway-api (Helm: config.enableGatewayAPI"
            "=true) and restart it, or make Certificates by hand",
        )
