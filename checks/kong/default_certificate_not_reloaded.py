"""The one certificate that Kong really keeps."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Severity, Skip, kinds
from gwdoctor.resolve import certificates, kong_pods
from gwdoctor.resolve.kong_pods import Container


class DefaultCertificateNotReloaded(Probe):
    """Kong serves an old default certificate: it reads the file once.

    Hosts without a certificate of their own get the one that `KONG_SSL_CERT` names (in the
    chart: `certificates.proxy`). The kubelet replaces the mounted file when the Secret changes, and
    Kong does not look at it again. Certificates that an Ingress or Gateway refers to are not
    affected: those come through the controller.

    Not a problem where the container started after the certificate in the Secret became valid, or
    where something reloads Kong inside the container, which cannot be seen from here.

    Check it yourself: a host that no certificate names gets the default one.

    ```sh
    openssl s_client -connect PROXY_IP:443 -servername nobody.invalid </dev/null 2>/dev/null |
      openssl x509 -noout -serial -enddate
    ```

    Source: Kong/kubernetes-ingress-controller issue 3184; Kong 3.9 kong/runloop/certificate.lua and
    kong/templates/nginx_kong.lua.

    ```yaml bad
    apiVersion: v1
    kind: Pod
    metadata: {name: kong-gateway-1, namespace: kong, labels: {app: proxy-kong}}
    spec:
      containers:
      - name: proxy
        image: kong:3.9.0
        env: [{name: KONG_SSL_CERT, value: /etc/cert-manager/proxy/tls.crt}]
        volumeMounts: [{name: proxy-cert, mountPath: /etc/cert-manager/proxy/}]
      volumes: [{name: proxy-cert, secret: {secretName: proxy-tls}}]
    status:
      containerStatuses:
      - {name: proxy, state: {running: {startedAt: "2026-08-01T00:00:00Z"}}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: proxy-tls, namespace: kong}
    type: kubernetes.io/tls
    data: !cert {dns: ["*.example.com"]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.POD_WHOLE,)
    needs = (kinds.SECRET,)
    symptoms = ("certificate has expired",)

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """The start of each proxy against the certificate it was given as a file."""
        told: dict[str, list[tuple[Container, Field]]] = {}
        for proxy in kong_pods.proxies(cluster):
            variable = proxy.variable("KONG_SSL_CERT")
            if variable is None or proxy.started is None:
                continue
            name = _secret_of(proxy, variable.text("value").partition(",")[0].strip())
            secret = cluster.get(kinds.SECRET, proxy.pod.namespace, name) if name else None
            leaf = certificates.leaf_of(secret) if secret is not None else None
            start = certificates.time_of(leaf.text("notBefore")) if leaf is not None else None
            if start is None or start <= proxy.started:
                continue
            told.setdefault(f"{proxy.pod.namespace}/{name}", []).append((proxy, variable))
        for secret_name, proxies in told.items():
            first, variable = proxies[0]
            yield self.finding(
                variable.at("value"),
                f"Kong read the certificate of the Secret {secret_name} when it started on "
                f"{first.started:%Y-%m-%d}; the one there now is newer and is not served",
                root=first.pod,
                because=tuple(other.at("value") for _, other in proxies[1:]),
                fix=Fix("Restart Kong", commands=(first.restart,), needs_review=True),
            )


def _secret_of(proxy: Container, path: str) -> str:
    """The Secret that a file comes from: the volume mounted at the longest part of its path."""
    mounts = sorted(
        proxy.field.each("volumeMounts"), key=lambda mount: -len(mount.text("mountPath"))
    )
    for mount in mounts:
        folder = mount.text("mountPath").rstrip("/")
        if folder and (path == folder or path.startswith(f"{folder}/")):
            for volume in proxy.pod.each("spec", "volumes"):
                if volume.text("name") == mount.text("name"):
                    return volume.text("secret", "secretName")
            return ""
    return ""
