"""Snippets: off by default, and for good reason."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress

_PREFIX = "nginx.ingress.kubernetes.io/"
_SNIPPETS = ("server-snippet", "configuration-snippet", "auth-snippet", "stream-snippet")


class NginxSnippet(Probe):
    """A snippet annotation is ignored, or opens the cluster's Secrets.

    ingress-nginx ignores snippets unless `allow-snippet-annotations` is true, which it has not
    been by default since 1.9, and since 1.12 only with `annotations-risk-level: Critical`; its
    webhook refuses such an Ingress. Where they are allowed, whoever may edit an Ingress can run
    code in the controller and read every Secret that it can (CVE-2021-25742).

    Not a problem on an Ingress of another controller.

    ```sh
    kubectl -n ingress-nginx get configmap ingress-nginx-controller -o jsonpath='{.data}'
    ```

    Source: kubernetes/ingress-nginx docs/user-guide/nginx-configuration/annotations-risk.md (1.15).

    ```yaml bad
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: shop
      namespace: shop
      annotations: {nginx.ingress.kubernetes.io/server-snippet: "deny all;"}
    spec: {ingressClassName: nginx}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.INGRESS,)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("annotation cannot be used. Snippet directives are disabled",)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One finding for the snippets of an Ingress of ingress-nginx."""
        found = [
            field
            for name in _SNIPPETS
            if (field := subject.at("metadata", "annotations", _PREFIX + name)).text()
        ]
        if not found or not ingress.served_class(subject, cluster, ingress.NGINX):
            return
        names = ", ".join(str(field.path[-1]).removeprefix(_PREFIX) for field in found)
        yield self.finding(
            found[0],
            f"{names}: without effect by default, and code in the controller where allowed",
            root=subject,
            because=tuple(found[1:]),
            advice="Say it with the annotations that exist for it (headers, rewrites, rate limits, "
            "auth-url), or in the controller's own ConfigMap",
        )
