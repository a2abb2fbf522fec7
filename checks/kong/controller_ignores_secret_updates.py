"""Document 004's one real bug of a controller."""

from collections.abc import Iterator
from datetime import datetime

from gwdoctor import Cluster, Field, Finding, OutOfView, Probe, Severity, Skip, kinds
from gwdoctor.resolve import certificates, credentials, kong, kong_pods

_FIRST, _FIXED = (2, 8), (3, 0)


class ControllerIgnoresSecretUpdates(Probe):
    """This Kong controller does not notice a renewed certificate.

    Versions 2.8.0 to 2.12.x ignore changes of a Secret that an Ingress or Gateway refers to: the
    old certificate is served until the referring object changes, the controller restarts, or
    two days have passed. Older and newer versions pick a change up within seconds. It has
    nothing to do with Kong's cache: neither the Admin API, nor a plugin, nor an annotation on the
    Secret helps.

    Not a problem where nothing that Kong serves refers to a TLS Secret. Whether a renewal has
    happened since the controller started decides how bad it is.

    Check it yourself: the two serial numbers must be equal.

    ```sh
    kubectl get secret NAME -n NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d |
      openssl x509 -noout -serial
    openssl s_client -connect PROXY_IP:443 -servername HOST </dev/null 2>/dev/null |
      openssl x509 -noout -serial
    ```

    Source: Kong/kubernetes-ingress-controller 2.8.0 to 2.12.8, fixed in 3.0.0 (pull request 4767).

    ```yaml bad
    apiVersion: v1
    kind: Pod
    metadata: {name: kong-controller-1, namespace: kong, labels: {app: ingress-kong}}
    spec:
      containers:
      - {name: ingress-controller, image: "kong/kubernetes-ingress-controller:2.12.3"}
    status:
      containerStatuses:
      - {name: ingress-controller, state: {running: {startedAt: "2026-08-01T00:00:00Z"}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop}
    spec:
      ingressClassName: kong
      tls: [{hosts: [shop.example.com], secretName: shop-tls}]
      rules: [{host: shop.example.com}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {name: kong}
    spec: {controller: ingress-controllers.konghq.com/kong}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: shop-tls, namespace: shop}
    type: kubernetes.io/tls
    data: !cert {dns: [shop.example.com]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.POD_WHOLE,)
    needs = (
        kinds.SECRET,
        kinds.INGRESS_CLASS,
        *(kind for kind in credentials.USERS if kind != kinds.POD_WHOLE),
    )
    symptoms = ("certificate has expired",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """The controller's version, and the Secrets that changed since it started."""
        affected = [
            container
            for container in kong_pods.controllers(cluster)
            if container.version and _FIRST <= container.version[:2] < _FIXED
        ]
        if not affected:
            return
        served = list(_served(cluster))
        if not served:
            return
        first = affected[0]
        started = min((c.started for c in affected if c.started), default=None)
        renewed = [spot for name in served if (spot := _renewed(*name, started, cluster))]
        names = ", ".join(f"{spot.ref.namespace}/{spot.ref.name}" for spot in renewed[:3])
        told = (
            f"; renewed since it started: {names}{' ...' if len(renewed) > 3 else ''}"
            if renewed
            else "; the next renewal will not be served"
        )
        yield self.finding(
            first.field.at("image"),
            f"the controller {first.shown} ignores changes of Secrets{told}",
            root=first.pod,
            severity=Severity.HIGH if renewed else Severity.MEDIUM,
            because=(*(other.field.at("image") for other in affected[1:]), *renewed),
            advice="Go to the controller 3.0 or newer; until then restart it after each renewal: "
            f"{first.restart}",
        )


def _renewed(namespace: str, name: str, since: datetime | None, cluster: Cluster) -> Field | None:
    """The certificate of a Secret if it became valid after this moment."""
    try:
        secret = cluster.get(kinds.SECRET, namespace, name)
    except OutOfView:  # then only the version speaks
        return None
    leaf = certificates.leaf_of(secret) if secret is not None else None
    start = certificates.time_of(leaf.text("notBefore")) if leaf is not None else None
    if secret is None or since is None or start is None or start <= since:
        return None
    return secret.at("data", "tls.crt")


def _served(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Namespace and name of the Secrets that Kong's Ingresses and Gateways refer to."""
    ingresses = {ingress.ref for ingress in kong.ingresses(cluster)}
    gateways = kong.gateways(cluster)
    for secret_name, uses in credentials.uses(cluster).items():
        for use in uses:
            root = use.root.ref
            if root in ingresses or (
                root.kind == kinds.GATEWAY and (root.namespace, root.name) in gateways
            ):
                yield secret_name
                break
