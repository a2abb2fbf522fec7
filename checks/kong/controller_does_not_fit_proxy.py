"""A controller that writes what this Kong refuses."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Severity, Skip, kinds
from gwdoctor.resolve import credentials, kong_pods
from gwdoctor.resolve.kong_pods import Container

#: Versions that took the certificate's id out of the SNIs again; put back in the next patch.
_REGRESSED = ((3, 4, 12), (3, 5, 5))


class ControllerDoesNotFitProxy(Probe):
    """Kong refuses all configuration of this controller, for an SNI field.

    Without a database Kong 3.8 and 3.9 ask each SNI for the id of its certificate. Controllers
    before 3.4.0 leave it out, and so do 3.4.12 and 3.5.5. Kong then refuses the whole
    configuration as soon as one TLS Secret is served, and goes on with the last one it took: new
    routes do not work, and a renewed certificate is never seen.

    Not a problem with a database, with Kong before 3.8 or from 3.10 on, or while no TLS Secret is
    referred to.

    Check it yourself:

    ```sh
    kubectl get pods -A -o jsonpath='{range .items[*].spec.containers[*]}{.image}{"\\n"}{end}' | grep kong
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kubernetes-ingress-controller issue 6642 and pull requests 6660, 7853, 7872; Kong
    3.9 kong/db/schema/entities/snis.lua.

    ```yaml bad
    apiVersion: v1
    kind: Pod
    metadata: {name: kong-controller-1, namespace: kong, labels: {app: ingress-kong}}
    spec:
      containers:
      - {name: ingress-controller, image: "kong/kubernetes-ingress-controller:3.3.1"}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: kong-gateway-1, namespace: kong, labels: {app: proxy-kong}}
    spec:
      containers:
      - {name: proxy, image: "kong:3.9.0", env: [{name: KONG_DATABASE, value: "off"}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      tls: [{hosts: [shop.example.com], secretName: shop-tls}]
      rules: [{host: shop.example.com}]
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: kong}
    spec: {controller: ingress-controllers.konghq.com/kong}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.POD_WHOLE,)
    needs = tuple(kind for kind in credentials.USERS if kind != kinds.POD_WHOLE)
    symptoms = ("failed posting new config to /config", "KongConfigurationApplyFailed")

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Controllers and proxies of one namespace."""
        strict = [proxy for proxy in kong_pods.proxies(cluster) if _asks_for_the_id(proxy)]
        for controller in kong_pods.controllers(cluster):
            beside = [p for p in strict if p.pod.namespace == controller.pod.namespace]
            if not beside or not _leaves_it_out(controller) or not credentials.uses(cluster):
                continue
            yield self.finding(
                controller.field.at("image"),
                f"the controller {controller.shown} writes SNIs without the certificate's id, and "
                f"Kong {beside[0].shown} without a database refuses them: no change is taken",
                root=controller.pod,
                because=tuple(proxy.field.at("image") for proxy in beside),
                advice="Run a controller from 3.4.0 on that is neither 3.4.12 nor 3.5.5 "
                "(3.4.13 and 3.5.6 are right), or Kong 3.10 or newer",
            )


def _asks_for_the_id(proxy: Container) -> bool:
    database = proxy.variable("KONG_DATABASE")
    in_memory = database is not None and database.text("value") == "off"
    return in_memory and proxy.version is not None and (3, 8) <= proxy.version[:2] <= (3, 9)


def _leaves_it_out(controller: Container) -> bool:
    version = controller.version
    return version is not None and (version[:2] < (3, 4) or version in _REGRESSED)
