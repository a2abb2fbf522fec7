"""A Gateway whose certificate is not where the gateway Pods look for it."""

import difflib
from collections.abc import Iterator
from shlex import quote
from typing import Any

from gwdoctor import (
    Change,
    Cluster,
    Confidence,
    Finding,
    Fix,
    OutOfView,
    Probe,
    Resource,
    Severity,
    Skip,
    kinds,
)
from gwdoctor.resolve import istio_gateways
from gwdoctor.resolve.istio_gateways import Server, Workload


class CredentialSecretMissing(Probe):
    """TLS fails on a Gateway: the Secret it names is not with its Pods.

    A classic Gateway's `credentialName` is looked up in the namespace of the *gateway Pods*, not
    in that of the Gateway resource. A Secret beside the Gateway, or beside the application, is
    never read, and nothing in the Gateway's status says so: Envoy waits for the certificate and
    resets every connection for these hosts. `kubernetes://namespace/name` with another namespace
    is refused as well.

    Not a problem for PASSTHROUGH servers, and not told where a cert-manager Certificate of the
    Pods' namespace is to write the Secret: then the Certificate is what is late.

    Check it yourself: the certificates that a gateway Pod holds.

    ```sh
    istioctl proxy-config secret -n istio-system deploy/istio-ingressgateway
    ```

    Source: istio 1.32 pilot/pkg/credentials/kube/secrets.go, pilot/pkg/xds/sds.go.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: shop, namespace: shop}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [shop.example.com]
        tls: {mode: SIMPLE, credentialName: shop-tls}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}}
    ---
    apiVersion: cert-manager.io/v1
    kind: Certificate
    metadata: {name: shop, namespace: shop}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: letsencrypt, kind: ClusterIssuer}
    ---
    apiVersion: cert-manager.io/v1
    kind: ClusterIssuer
    metadata: {name: letsencrypt}
    spec: {acme: {}}
    ```

    ```yaml fixed
    kind: Certificate
    metadata: {name: shop-tls, namespace: istio-system}
    spec:
      secretName: shop-tls
      dnsNames: [shop.example.com]
      issuerRef: {name: letsencrypt, kind: ClusterIssuer}
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.ISTIO_GATEWAY, kinds.GATEWAY)
    needs = (*istio_gateways.READS, kinds.SECRET, kinds.CERTIFICATE)
    symptoms = (
        "curl: (35) OpenSSL SSL_connect: Connection reset by peer",
        "ERR_CONNECTION_RESET",
        "failed to fetch key and certificate for kubernetes://",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """Every credential of every server, once for each namespace that the Pods are in."""
        for workload in istio_gateways.workloads(cluster):
            for server in workload.servers:
                if server.is_listener or server.mode not in _NEED_SECRETS:
                    continue
                try:
                    yield from self._of(server, workload, cluster)
                except OutOfView as hidden:
                    yield self.skip(hidden, server.owner)

    def _of(self, server: Server, workload: Workload, cluster: Cluster) -> Iterator[Finding]:
        for field, namespace, name in istio_gateways.credential_names(server):
            home = workload.namespace
            if namespace not in ("", home) and home:
                yield self.finding(
                    field,
                    f"Secret {namespace}/{name} is refused: the gateway Pods are in {home}",
                    root=server.owner,
                    advice=f"Let the Secret be made in {home}, and name it without a namespace",
                    marker=home,
                )
                continue
            if _is_there(cluster, home or namespace, name):
                continue
            elsewhere = [s for s in _named(cluster, name) if s.namespace != home]
            places = ", ".join(s.namespace for s in elsewhere[:3])
            yield self.finding(
                field,
                (
                    f"Secret {home}/{name} does not exist, and the gateway Pods are in {home}"
                    if home
                    else f"no namespace has a Secret {name}"
                )
                + (f"; one of that name is in {places}" if places else ""),
                root=server.owner,
                confidence=Confidence.CERTAIN if home else Confidence.LIKELY,
                because=tuple(elsewhere[:3]),
                fix=_fix(server, home, name, elsewhere, cluster) if home else None,
                advice=_advice(cluster, home, name),
                marker=home,
            )


_NEED_SECRETS = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


def _is_there(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether the Secret is there, or a Certificate is going to write it."""
    if not namespace:  # the Pods are not in the picture: a Secret of any namespace may be the one
        if not _named(cluster, name):
            cluster.every(kinds.SECRET)
            return any(c.text("spec", "secretName") == name for c in _certificates(cluster))
        return True
    if cluster.get(kinds.SECRET, namespace, name) is not None:
        return True
    return any(
        certificate.text("spec", "secretName") == name
        for certificate in _certificates(cluster)
        if certificate.namespace == namespace
    )


def _named(cluster: Cluster, name: str) -> list[Resource]:
    return cluster.derive(_by_name).get(name, [])


def _by_name(cluster: Cluster) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for secret in cluster[kinds.SECRET]:
        found.setdefault(secret.name, []).append(secret)
    return found


def _by_namespace(cluster: Cluster) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for secret in cluster[kinds.SECRET]:
        if secret.has("pem"):
            found.setdefault(secret.namespace, []).append(secret.name)
    return found


def _certificates(cluster: Cluster) -> list[Resource]:
    return list(cluster[kinds.CERTIFICATE]) if cluster.may_hold(kinds.CERTIFICATE) else []


def _fix(
    server: Server, home: str, name: str, elsewhere: list[Resource], cluster: Cluster
) -> Fix | None:
    """The Certificate issued where it is needed, or the Secret copied there."""
    foreign = [c for c in _certificates(cluster) if c.text("spec", "secretName") == name]
    issuable = [c for c in foreign if c.text("spec", "issuerRef", "kind") == "ClusterIssuer"]
    if issuable:
        spec: dict[str, Any] = issuable[0].manifest()["spec"]
        manifest = {
            "apiVersion": cluster.api_version(kinds.CERTIFICATE),
            "kind": "Certificate",
            "metadata": {"name": name, "namespace": home},
            "spec": spec,
        }
        title = f"Let cert-manager issue it in {home}, where the gateway Pods are"
        return Fix(title, (Change.created(manifest),), needs_review=True)
    if len(elsewhere) == 1:
        source = elsewhere[0].namespace
        return Fix(
            f"Copy it to {home} (and again after each renewal)",
            commands=(
                f"kubectl get secret {quote(name)} -n {quote(source)} -o json"
                " | jq '{apiVersion, kind, type, data, metadata: {name: .metadata.name}}'"
                f" | kubectl apply -n {quote(home)} -f -",
            ),
            needs_review=True,
        )
    return None


def _advice(cluster: Cluster, home: str, name: str) -> str:
    names = cluster.derive(_by_namespace).get(home, [])
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    meant = f"Name {close[0]} if that is meant, or l" if close else "L"
    return f"{meant}et the Secret be made in {home or 'the namespace of the gateway Pods'}"
