"""A Backend whose address Envoy Gateway does not take."""

import ipaddress
from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, status


class BackendAddressRefused(Probe):
    """Requests get 500: Envoy Gateway refuses the address of this Backend.

    A Backend's FQDN needs at least two labels: `localhost` and the bare name of a Service are
    refused, `web.app.svc.cluster.local` is fine. Loopback addresses would mean Envoy's own Pod and
    are refused too. The CRD takes all of them.

    Not a problem where Envoy Gateway runs on a host instead of in Kubernetes.

    ```sh
    kubectl get backend NAME -n NAMESPACE -o jsonpath='{.status.conditions}'
    ```

    Source: Envoy Gateway 1.9, internal/gatewayapi (Backend validation).

    ```yaml bad
    apiVersion: gateway.envoyproxy.io/v1alpha1
    kind: Backend
    metadata: {name: legacy, namespace: app}
    spec: {endpoints: [{fqdn: {hostname: localhost, port: 3000}}]}
    ```
    """

    severity = Severity.HIGH
    subjects = (kinds.BACKEND,)
    needs = gateway_api.ROUTES
    symptoms = ("InvalidAddress", "500 Internal Server Error")

    def check(self, backend: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Names of one label, loopback addresses."""
        if status.says(backend, backend.at("status"), "Accepted", "True"):
            return
        users = gateway_api.users_of(backend, cluster)
        for endpoint in backend.each("spec", "endpoints"):
            hostname = endpoint.text("fqdn", "hostname")
            if hostname and "." not in hostname.rstrip("."):
                yield self.finding(
                    endpoint.at("fqdn", "hostname"),
                    f"{hostname} has one label, and Envoy Gateway takes names of two and more",
                    because=users,
                    advice="Write the whole name (NAME.NAMESPACE.svc.cluster.local for a Service)",
                )
            address = endpoint.text("ip", "address")
            if address and _is_loopback(address):
                yield self.finding(
                    endpoint.at("ip", "address"),
                    f"{address} is Envoy's own Pod",
                    because=users,
                    advice="Name the address at which Envoy reaches the backend",
                )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
