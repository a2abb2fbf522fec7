"""Document 002: one certificate, several servers, HTTP/2."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Severity
from gwdoctor.resolve import istio_gateways, overlap_fixes, tls_overlap
from gwdoctor.resolve.tls_overlap import Overlap


class TlsServerOverlap(Probe):
    """Browsers get 404 from a host after they have visited another one.

    A browser that has an HTTP/2 connection to x sends requests for y over it when x's
    certificate covers y and both names have the same address. Istio has chosen x's server by
    SNI for the life of the connection, and x's server does not know y: 404, `NR
    route_not_found`, until the connection closes. It comes and goes, and curl never shows it,
    because curl does not reuse connections across names.

    What counts is the `servers[]` entry and the *content* of the certificate: two entries of one
    Gateway overlap like two Gateways do; Secrets with other names, other certificates or a
    wildcard overlap as soon as their subjectAltNames cover the other host; a PASSTHROUGH host
    suffers from a neighbour whose certificate covers it. A wildcard certificate makes it worse.

    Not a problem between different ports or different gateway Pods, within one entry, where the
    certificates cover only their own hosts, on plain HTTP, where the names have different
    addresses, or where the gateway answers 421 (browsers then repeat the request on a connection
    of its own; a body that is a stream cannot be repeated).

    Check it yourself: the SNI of x with the Host of y. Without SNI (`https://IP`) Istio resets.

    ```sh
    curl -sk -o /dev/null -w '%{http_code}\\n' --resolve X:443:GATEWAY_IP -H 'Host: Y' https://X/
    ```

    Source: run with istiod 1.32's generated listeners on Envoy 1.40, Chromium 156 and Firefox
    153; pilot/pkg/networking/core/gateway.go (one filter chain and route table a server).

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: blog, namespace: web}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [blog.example.com]
        tls: {mode: SIMPLE, credentialName: wildcard}
    ---
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: shop, namespace: web}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [shop.example.com]
        tls: {mode: SIMPLE, credentialName: wildcard}
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: shop, namespace: web}
    spec:
      hosts: [shop.example.com]
      gateways: [shop]
      http: [{route: [{destination: {host: shop}}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: wildcard, namespace: istio-system}
    type: kubernetes.io/tls
    data: !cert {dns: ["*.example.com"]}
    ```

    ```yaml fixed
    kind: Gateway
    metadata: {name: blog}
    spec:
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [blog.example.com, shop.example.com]
        tls: {mode: SIMPLE, credentialName: wildcard}
    ---
    kind: VirtualService
    metadata: {name: shop}
    spec: {gateways: [blog]}
    ```
    """

    severity = Severity.HIGH
    subjects = istio_gateways.GATEWAYS
    needs = tls_overlap.READS
    symptoms = (
        "404 Not Found",
        "404 NR route_not_found",
        "TypeError: Failed to fetch",
        "net::ERR_FAILED",
        "NR route_not_found",
    )
    proof = """
        # servers with a tls block, oldest first
        [.items[] | . as $g | .spec.servers // [] | to_entries[] | select(.value.tls)
         | {workload: ($g.spec.selector // {}), port: .value.port.number, bind: (.value.bind // ""),
            protocol: .value.port.protocol, tls: .value.tls,
            hosts: [.value.hosts[] | sub("^[*]/"; "") | sub("^[.]/"; $g.metadata.namespace + "/")],
            server: "\\($g.metadata.namespace)/\\($g.metadata.name)/\\(.key)",
            age: [$g.metadata.creationTimestamp // "~", $g.metadata.name, $g.metadata.namespace, .key]}]
        | sort_by(.age)
        # istiod leaves out a server that names a host again
        | reduce .[] as $s ({seen: {}, kept: []};
            [$s.hosts[] | [$s.workload, $s.port, $s.bind, .] | tojson] as $keys
            | if any(.seen[$keys[]]; .) or ($keys | unique | length) < ($keys | length) then .
              else .kept += [$s] | .seen += ($keys | map({(.): true}) | add) end)
        | [.kept[] | select(.protocol == "HTTPS" and .tls.credentialName)
           | select(.tls.mode // "SIMPLE" | IN("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"))]
        | group_by([.workload, .port, .bind, .tls.credentialName])
        | map(select(length > 1)
              | {credentialName: .[0].tls.credentialName, port: .[0].port,
                 servers: map(.server), hosts: (map(.hosts) | add)})
    """

    def run(self, cluster: Cluster) -> Iterator[Finding]:
        """One finding for each group of servers that share connections."""
        for overlap in tls_overlap.found(cluster).overlaps:
            merged = overlap_fixes.one_entry(overlap.servers, cluster)
            yield self.finding(
                overlap.first.spot,
                _message(overlap),
                root=overlap.first.owner,
                severity=Severity.HIGH if overlap.is_one_site else Severity.MEDIUM,
                confidence=_confidence(overlap),
                because=tuple(s.spot for s in overlap.servers if s is not overlap.first),
                fix=merged
                or overlap_fixes.answer_421(overlap.socket.workload, overlap.servers, cluster),
                advice="" if merged else _ADVICE,
            )


_ADVICE = (
    "Answering 421 keeps the servers apart at the price of a second connection. Without it: one "
    "server entry (in Gateway API one listener, with a wildcard hostname) for hosts that share "
    "a certificate and a TLS mode, or certificates that cover nothing but their own hosts"
)


def _message(overlap: Overlap) -> str:
    what = f"the certificate covers it ({overlap.mark})"
    if not overlap.is_read:
        what = f"both present {overlap.mark[1:].strip('/')}, whose content could not be read"
    text = (
        f"a connection opened for {overlap.opened} is reused for {overlap.name}, served by "
        f"{overlap.other}, and answered 404: {what}"
    )
    if overlap.goes_back:
        text += "; the other way round too"
    more = len(overlap.servers) - 2
    if more:
        text += f"; {more} more server{'s' if more > 1 else ''} overlap{'' if more > 1 else 's'}"
    return text


def _confidence(overlap: Overlap) -> Confidence:
    """Certain where the certificate was read and the Pods have one Service, so one address."""
    workload = overlap.socket.workload
    if workload.is_seen and overlap.is_read:
        return Confidence.CERTAIN if len(workload.services) == 1 else Confidence.LIKELY
    return Confidence.LIKELY if workload.is_seen or overlap.is_read else Confidence.POSSIBLE
